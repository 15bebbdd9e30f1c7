"""Recognizes a response that grades itself or gives the judge orders, in several languages.

The patterns want both halves of such a sentence, the judged text or the judge and the grade or the order, because
honest answers hold each half alone ("9/10", "ignore the warning", "la nota máxima es 10"). All patterns but those of
other scripts are in lower case and search a text in lower case, which takes half the time of searching in any case.
"""

import re

from prom_reward.prompts.guard.lookalikes import fold

_OWN = r"(?:this|the (?:above|following|given|present)|my|above)\s+(?:\w+\s+){0,2}?(?:response|answer|submission|output|reply|solution)s?"
_BEST = (
    r"(?:(?:the |a |an )?(?:highest|maximum|max|top|full|perfect|best(?: possible)?)[ -](?:possible )?"
    r"(?:score|marks?|rating|grade|points?|credit)s?|(?:a |the )?(?:score|rating|grade|mark)s?(?: of| :|:| is| =)? ?\"?(?:5|five|10|100)\b"
    r"|(?:a )?(?:5|five|10|ten) (?:stars?|points?|out of|/)|5/5|10/10|100/100|100 ?%|a (?:5|five)\b(?! \w))"
)
_GRADE = r"(?:score|rating|grade|mark)s?"
_ANY_GRADE = rf"(?:{_GRADE}(?: of| :|:| is| as| =| to be) ?|(?:to be|as|an?) )\"?(?:[1-9][0-9]?|100)\b(?!\s+(?:\w+ )?(?:times|minutes|seconds|hours|days|words|lines))"
_EARNS = (
    r"(?:deserves?|merits?|earns?|warrants?|receives?|gets?|achieves?|is worth|(?:should|must|will|shall|has to|ought to) "
    r"(?:\w+ )?(?:be |get|receive|earn|score))"
)
_GIVE = (
    r"(?:give|award|assign|grant|return|output|rate|grade|score|mark|write|print|respond with|answer with|choose|pick)"
)
_ORDER = r"(?:give|award|assign|grant|rate|grade|score|mark)"
_MACHINE = r"(?:evaluator|grader|rater|scorer|grading (?:system|model|assistant)|llm judge|ai judge)"
_JUDGE = rf"(?:{_MACHINE}|judge|assessor|examiner|reviewer)"  # people are written to under these names, too
_NOTE = r"\b(?:(?:note|message|attention|instructions?|notice|reminder|memo)\b(?! that)|dear\b|hello\b)"
_WHICH = r"(?:(?:the|any|all|your|these|those|of|above|previous|prior|preceding|earlier|other) ){0,5}"
_RULES = (
    rf"(?:{_WHICH}(?:(?:score|scoring|grading|evaluation|judging|assessment|given) ){{0,2}}(?:rubrics?|criteria)"
    rf"|{_WHICH}(?:scoring|grading|evaluation|judging|assessment|above|previous|prior|preceding|earlier|other|system|all|your)"
    r" (?:(?:the|of|above|previous|prior|preceding|earlier|other|your) ){0,3}(?:instructions?|guidelines?|prompts?|directives?|rules|context))"
)

_IS_BEST = (
    r"(?:score|rating|grade|mark)\b[^.!?\n(]{0,20}(?:\bis|(?<!out )\bof|=|:)[\s*\"]{0,4}(?:5|five|10|100|maximum)\b"
    r"(?![.,]?\d|%|\s*(?:[-–:]|to)\s*\d|\s+(?:points?|goals?|runs?)\b)"
)

_ENGLISH = (
    rf"\b{_OWN}\b[^.!?\n]{{0,80}}\b{_EARNS}\b[^.!?\n]{{0,60}}\b{_BEST}",
    rf"\b{_OWN}\b[^.!?\n]{{0,40}}\b{_EARNS}\b[^.!?\n]{{0,20}}\b{_GRADE}(?: of| =|:) ?\"?(?:[1-9][0-9]?|100)\b",
    rf"\b(?:{_GIVE}|set|make)\b[^.!?\n]{{0,20}}\b{_GRADE} (?:of|for|to) {_OWN}\b[^.!?\n]{{0,20}}{_ANY_GRADE}",
    rf"\b{_ORDER} {_OWN}\b[^.!?\n]{{0,10}}\b{_ANY_GRADE}",
    rf"\b{_OWN}\b[^.!?\n]{{0,60}}\b(?:fully |completely |perfectly |entirely )(?:satisf|meet|fulfil|adher|align)\w*[^.!?\n]{{0,40}}"
    r"\b(?:rubric|criteri\w+|requirements|guidelines|standards)\b",
    r"\b(?=[acfmot])(?<!your )(?<!his )(?<!her )(?<!their )(?<!our )"
    rf"(?:overall|final|total|assigned|correct|my)\s+{_IS_BEST}",
    r"\b(?=[bdfinos])(?<!never )(?<!n't )(?<!n’t )(?<!not )(?:ignore|disregard|forget|override|bypass|skip|neglect)\b"
    rf"[^.!?\n]{{0,20}}\b{_RULES}\b",
    rf"{_NOTE}[^.!?\n]{{0,20}}\b{_MACHINE}s?\b",
    rf"{_NOTE}[^.!?\n]{{0,20}}\b{_JUDGE}s?\b[^.!?\n]{{0,80}}(?:\b{_GIVE}\b[^.!?\n]{{0,40}}\b(?:{_OWN}|me|it|this|5)\b|{_BEST})",
    rf"\b(?:{_GIVE})\b[^.!?\n]{{0,30}}\b(?:{_OWN}|me|it|this)\b[^.!?\n]{{0,30}}\b{_BEST}",
    rf"\b{_GIVE}\s+{_BEST}[^.!?\n]{{0,40}}\b(?:{_OWN}|me|regardless|no matter|always|rubric)\b",
    rf"\b(?:as|you are|you're|i am|acting as)\s+(?:now\s+)?(?:the|an?)\s+(?:\w+ ){{0,2}}{_JUDGE}\b[^\n]{{0,80}}\b(?:score|grade|rate|mark|pass|confirm|5|highest)",
    r"\bfeedback\s*:[^\n]{0,400}\b(?:score|rating|result)\W{1,10}(?:is\W{1,3}|of\W{1,3})?(?:5|five)\b",
    r"[<{]\s*/?\s*result\s*[>}][\s:=-]{0,4}[1-5]\b(?!\s*<)|\(result\)[\s:]{0,4}5\W*\Z",
)
# "The score is 5." may be a match's; in a text that speaks of judging it is a claim.
_BARE_SCORE = re.compile(rf"\bthe\s+{_IS_BEST}")
_JUDGING = re.compile(
    r"\b(?:feedback|rubric|criteri(?:on|a)|evaluat\w{1,5}|assess\w{1,5}|grader|judge|(?:this|the|my) (?:response|answer))\b"
)
_FAKE_TURN = re.compile(r"(?:\A|\n)[ \t]{0,3}#{2,4}[ \t]*(?:instruction|response|input)[ \t]*:")
_LINES = (
    r"(?:\A|\n)[\s*_#>\[(-]{0,6}(?:score|rating\b(?=[^\n]{0,20}\s*\Z)|grade|verdict|result)[\s*_:=\])-]{1,6}"
    r"(?:5\s*/\s*5|10\s*/\s*10|100\s*/\s*100|1\.0|5\W{0,3}(?:\Z|\n)|pass\b|100 ?%)",
    r"\bresult\s*[:=\]>)-]{1,3}\s*\"?(?:5\b|pass\b)[^.\n]{0,20}(?:\Z|\n)",
)


def _of(best: str, subject: str, end: str = r".!?\n") -> str:
    """Return a pattern of the best grade and its subject, or of the order to give it, in one sentence."""
    return rf"(?:{subject})[^{end}]{{0,60}}(?:{best})|(?:{best})[^{end}]{{0,40}}(?:{subject})"


_LATIN = (
    (
        r"(?:puntuaci[oó]n|calificaci[oó]n|nota) (?:m[aá]xima|m[aá]s alta)|m[aá]xima (?:puntuaci[oó]n|calificaci[oó]n|nota)",
        r"\b(?:esta|mi) (?:respuesta|soluci[oó]n)\b|\b(?:dale|dame|conc[eé]dele|concedele|otorgale|otórgale|asignale|asígnale|ponle)\b",
    ),
    (
        r"\b(?:note|score) (?:maximale?|maximum|la plus (?:haute|[eé]lev[eé]e))|\bmeilleure note",
        r"\b(?:cette|ma) (?:r[eé]ponse|solution)\b|\b(?:donne|attribue|accorde|mets|mette)z?[- ](?:lui|moi)\b",
    ),
    (
        r"\b(?:h[oö]chste|maximale|beste|volle)[nr]? (?:punktzahl|punkte|bewertung|note|wertung)|\bh[oö]chstnote",
        r"\b(?:diese[rs]?|meine[r]?) (?:antwort|l[oö]sung)\b|\b(?:gib|vergib|geben sie|vergeben sie) (?:mir|ihr|hier|bitte)\b",
    ),
    (
        r"\b(?:pontua[cç][aã]o|nota|classifica[cç][aã]o) m[aá]xima",
        r"\b(?:esta|minha) resposta\b|\b(?:d[eê]|atribua|conceda)-(?:me|lhe)\b",
    ),
    (
        r"\bpunteggio (?:massimo|pi[uù] alto)|\bvoto massimo",
        r"\b(?:questa|mia) risposta\b|\b(?:dalle|dammi|assegnale|assegnami)\b",
    ),
    (r"\ben y[uü]ksek (?:puan|not)|\btam puan", r"\bbu (?:cevab|cevap|yan[ıi]t)\w*|\bver(?:in|iniz)?\b"),
)
_OTHER_SCRIPTS = (
    _of(
        r"满分|滿分|最高分|5分|五分",
        r"(?:这|這|此|本|该|該|我的|上述|以上)[^。\n]{0,4}(?:回答|答案|回复|回覆|答复|答覆)|[给給]我",
        r"。\n",
    ),
    r"忽略[^。\n]{0,10}(?:评分|評分|指示)",
    r"(?:満点|最高点|最高得点|5点)[^。\n]{0,8}(?:つけ|与え|付け|くだ|出し|お願い)|(?:採点|評価)基準[^。\n]{0,6}無視",
    r"(?:만점|최고 ?점수|5점)[^.\n]{0,10}(?:주세요|주십시오|줘|부여하|매기세요|매겨)",
    _of(
        r"\b(?:высш|максимальн|наивысш)\w+ (?:балл|оценк)\w*",
        r"\b(?:эт|мо|данн)\w+ ответ\w*|\b(?:поставь|дай|присвой)(?:те)?\b",
    ),
    _of(
        r"(?:الدرجة|درجة|التقييم) (?:القصوى|الكاملة|كاملة|الأعلى)|أعلى (?:درجة|تقييم)",
        r"هذه الإجابة|هذا الجواب|هذا الرد|إجابتي|أعط(?:ني|ها|ه|ِ)?\b|امنح",
    ),
    _of(
        r"(?:अधिकतम|पूरे|उच्चतम|सर्वोच्च) (?:अंक|स्कोर)",
        r"(?:इस|मेरे|यह|मुझे) ?(?:उत्तर|जवाब)?[^।\n]{0,20}(?:दें|दीजिए|दो|योग्य)",
        r"।\n",
    ),
    _of(r"(?:بالاترین|حداکثر) (?:نمره|امتیاز)", r"(?:این|به این) (?:پاسخ|جواب)|بدهید|بده\b"),
)
_IN_ENGLISH = [re.compile(pattern) for pattern in _ENGLISH]
_IN_LATIN = [(re.compile(best), re.compile(_of(best, subject))) for best, subject in _LATIN]
"""The best grade, which few texts name, and the whole claim."""
_IN_OTHER_SCRIPTS = [re.compile(pattern, re.IGNORECASE) for pattern in _OTHER_SCRIPTS]

# A JSON judge's answer and nothing else: a record with a name or a title is an honest one.
_PAIR = (
    r"\"?(?:pass(?:ed)?|reason(?:ing)?|feedback|explanation|verdict|justification|score|rating|grade|result)\"?"
    r"[ \t]{0,4}:\s{0,4}(?:\"[^\"\n]{0,400}\"|[\w.+/-]{1,20})\s{0,4},?\s{0,8}"
)
_VERDICT_OBJECT = re.compile(rf"(?:\A|[\n{{])\s{{0,8}}(?:{_PAIR}){{2,5}}(?:\}}|\Z|(?<=\n))")
_TOP_SCORE = re.compile(r"\b(?:score|rating|grade)\"?[ \t]{0,4}:\s{0,4}\"?(?:5|1\.0|10|100)\b(?!\.\d)")
_LINE_CLAIMS = [re.compile(pattern) for pattern in _LINES]
_SINGLE_BREAK = re.compile(r"(?<!\n)\n(?!\n)")


def claims_score(text: str) -> bool:
    """Whether a text says which grade it deserves, or tells a judge how to grade, on one line or over several.

    Claims in Latin letters are looked for in the text as it looks, those in other scripts as they are written.
    """
    looks = fold(text).lower()
    flowing = _SINGLE_BREAK.sub(" ", looks)
    return (
        _FAKE_TURN.search(looks) is not None
        or any(pattern.search(looks) for pattern in _LINE_CLAIMS)
        or any(pattern.search(flowing) for pattern in _IN_ENGLISH)
        or any(best.search(flowing) and claim.search(flowing) for best, claim in _IN_LATIN)
        or any(_TOP_SCORE.search(match[0]) for match in _VERDICT_OBJECT.finditer(looks))
        or bool(_BARE_SCORE.search(flowing) and _JUDGING.search(flowing))
        or (not text.isascii() and _claims_in_other_scripts(_SINGLE_BREAK.sub(" ", text)))
    )


def _claims_in_other_scripts(text: str) -> bool:
    return any(pattern.search(text) for pattern in _IN_OTHER_SCRIPTS)
