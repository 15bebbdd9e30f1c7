"""Builds the constructed data sets: rows that `prom-reward train-judge` reads, and held-out ones to measure on."""

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from prom_reward.rubrics.checklists.checks import words_of
from prom_reward.rubrics.rubric import Rubric, builtin_rubric
from prom_reward.training.construction.aspects import (
    ASPECTS,
    HELD_OUT_ASPECTS,
    Aspect,
    aspect_level,
    aspect_rubric,
    coverage_level,
    coverage_rubric,
    draw_texts,
)
from prom_reward.training.construction.common import (
    HELD_OUT_KNOWN,
    KNOWN,
    Known,
    entity_question,
    known_question,
    read_entities,
)
from prom_reward.training.construction.copies import copied_variants, said_again
from prom_reward.training.construction.correctness import correctness_rubric
from prom_reward.training.construction.criteria import criterion, text_criteria, truth_criterion
from prom_reward.training.construction.facts import HELD_OUT_KINDS, KINDS
from prom_reward.training.construction.form_criteria import (
    HELD_OUT_KINDS as HELD_OUT_KINDS_OF_FORM,
    KINDS as KINDS_OF_FORM,
    draw_criteria,
)
from prom_reward.training.construction.long_answers import (
    ASKED,
    ASKED_FACTS,
    NUM_PARTS,
    definition_parts,
    fact_parts,
    long_question,
)
from prom_reward.training.construction.passages import draw_passage
from prom_reward.training.construction.variants import (
    HELD_OUT_FAULTS,
    Question,
    Variant,
    definition_question,
    fact_question,
)
from prom_reward.training.construction.wordnet import Definition, read_definitions, read_sentences

Row = dict[str, Any]

_SHOWN = {"arithmetic": 0.6, "everyday": 0.5}  # the share of questions whose reference the judge sees
_ENTITIES = 0.4  # the share of common questions on capitals and people
_VARIANTS = 8  # responses a question in training
_CRITERIA = 16  # for the two passages of a question


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstructedSet:
    """One side of the constructed data: for training, or held out."""

    facts: list[Row]
    """Answers to questions, by rubrics that ask for truth."""
    aspects: list[Row]
    """Texts by rubrics for measurable aspects."""
    criteria: list[Row]
    """Responses by yes-or-no criteria."""
    long: list[Row]
    """Answers of up to several hundred words to questions of several parts, by rubrics that ask for truth."""
    known: list[Row]
    """Answers to short questions on what everybody knows, mostly without a reference."""
    imitations: list[Row]
    """Responses that copy the rubric or the request, repeat words or hold special tokens, beside true answers."""
    passages: list[Row]
    """Texts by yes-or-no criteria for length, wording and form."""

    def named(self) -> dict[str, list[Row]]:
        """Return the rows by the name of their file."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def build_set(
    wordnet: Path, *, num_questions: int, held_out: bool, seed: int = 0, written: Sequence[Sequence[str]] = ()
) -> ConstructedSet:
    """Build one side: words, kinds of facts, faults and aspects of one side never occur on the other.

    Args:
        wordnet: WordNet's folder, of which `data.noun` is needed and all `data.*` are read.
        num_questions: Questions, half of them definitions; texts and criteria follow their number.
        held_out: The side to measure on.
        seed: Of all draws.
        written: The sentences of texts, as of `read_texts`, for half of the passages; each text is on one side.

    Raises:
        InputError: There is no WordNet in the folder.
    """
    draw = random.Random(f"{seed}:{held_out}")
    words = [one for one in read_definitions(wordnet) if _is_held_out(one.word) == held_out]
    questions = list(_questions(words, num_questions, held_out, draw))
    aspects = HELD_OUT_ASPECTS if held_out else ASPECTS
    return ConstructedSet(
        facts=[row for number, one in enumerate(questions) for row in fact_rows(one, number, draw, held_out=held_out)],
        aspects=[row for number in range(num_questions // 4) for row in _aspect_rows(number, aspects, draw)],
        criteria=list(_criteria_rows(questions[: num_questions // 2], aspects, draw, held_out=held_out)),
        long=list(_long_rows(words, num_questions // 4, draw, held_out=held_out)),
        known=list(_known_rows(wordnet, num_questions // 4, draw, held_out=held_out)),
        imitations=[row for number, one in enumerate(questions[::4]) for row in _imitation_rows(one, number, draw)],
        passages=list(_passage_rows(wordnet, words, num_questions, draw, held_out=held_out, written=written)),
    )


def _passage_rows(
    wordnet: Path,
    words: Sequence[Definition],
    num_passages: int,
    draw: random.Random,
    *,
    held_out: bool,
    written: Sequence[Sequence[str]],
) -> Iterator[Row]:
    """Yield two texts for each request by the same criteria; half of the requests name two of them."""
    sentences = [one for one in read_sentences(wordnet) if _is_held_out_text(one) == held_out]
    texts_of_side = [one for one in written if _is_held_out_text(one[0]) == held_out]
    nouns = {one.word for one in read_definitions(wordnet) if len(one.word) > 3}
    kinds = {**KINDS_OF_FORM, **HELD_OUT_KINDS_OF_FORM} if held_out else KINDS_OF_FORM
    for number in range(num_passages // 2):
        texts = (draw_passage(sentences, draw, texts_of_side), draw_passage(sentences, draw, texts_of_side))
        asked = draw_criteria(texts, kinds, _CRITERIA, nouns, draw)
        named = " ".join(one.text for one in draw.sample(asked, min(2, len(asked)))) if draw.random() < 0.5 else ""
        instruction = f"Write a short text about {draw.choice(words).word}. {named}".rstrip()
        for text in texts:
            for text_criterion in asked:
                is_met = int(text_criterion.is_met_by(text))
                row = constructed_row(instruction, text, criterion(text_criterion.text), is_met, f"passage-{number}")
                yield {**row, "kind": text_criterion.kind}


def _is_held_out(word: str) -> bool:
    return hashlib.sha256(word.encode()).digest()[0] < 40


def _is_held_out_text(text: str) -> bool:
    return _is_held_out(" ".join(words_of(text.casefold())))


def _questions(
    words: Sequence[Definition], num_questions: int, held_out: bool, draw: random.Random
) -> Iterator[Question]:
    kinds = list((HELD_OUT_KINDS if held_out else KINDS).values())
    for number in range(num_questions):
        if number % 2:
            one, *others = draw.sample(words, 6)
            yield definition_question(one, others, draw)
            continue
        fact, *strangers = [draw.choice(kinds)(draw) for _ in range(5)]
        yield fact_question(fact, [one.stated(one.value, draw) for one in strangers], draw)


def _long_rows(
    words: Sequence[Definition], num_questions: int, draw: random.Random, *, held_out: bool
) -> Iterator[Row]:
    kinds = list((HELD_OUT_KINDS if held_out else KINDS).values())
    for number in range(num_questions):
        num_parts = draw.choice(NUM_PARTS)
        if number % 3:
            drawn = draw.sample(words, 2 * num_parts)
            parts, asked = definition_parts(drawn, draw), draw.choice(ASKED)
        else:
            asking = draw.sample(kinds, num_parts) if num_parts <= len(kinds) else draw.choices(kinds, k=num_parts)
            parts = fact_parts([one(draw) for one in (*asking, *draw.choices(kinds, k=num_parts))], draw)
            asked = draw.choice(ASKED_FACTS)
        question = long_question(asked, parts[:num_parts], parts[num_parts:], draw)
        again = said_again(question, random.Random(number))  # of its own, so that the other draws stay as they were
        variants = (*question.variants, again)
        yield from _scored_rows(question, variants, correctness_rubric(draw), number, is_shown=True)


def _known_rows(wordnet: Path, num_questions: int, draw: random.Random, *, held_out: bool) -> Iterator[Row]:
    capitals, people = (
        {name: what for name, what in side.items() if _is_held_out(name) == held_out} for side in read_entities(wordnet)
    )
    kinds = list((HELD_OUT_KNOWN if held_out else KNOWN).values())

    def drawn() -> Known:
        return entity_question(capitals, people, draw) if draw.random() < _ENTITIES else draw.choice(kinds)(draw)

    for number in range(num_questions):
        one, *others = [drawn() for _ in range(4)]
        while all(other.right[0] in one.right for other in others):
            others.append(drawn())
        question = known_question(one, [other.right[0] for other in others if other.right[0] not in one.right], draw)
        rubric = correctness_rubric(draw)
        if draw.random() < 0.5:
            rubric = builtin_rubric(draw.choice(("factual_validity", "helpfulness")))
        yield from _scored_rows(question, question.variants, rubric, number, is_shown=draw.random() < 0.25)


def _imitation_rows(question: Question, number: int, draw: random.Random) -> Iterator[Row]:
    """Yield a right and a partly right answer, and responses that imitate."""
    rubric = builtin_rubric("helpfulness") if draw.random() < 0.3 else correctness_rubric(draw)
    right = draw.choice([one for one in question.variants if one.share == 1.0])
    weak = draw.choice([one for one in question.variants if 0 < one.share < 1 and one.kind not in HELD_OUT_FAULTS])
    variants = (right, weak, *copied_variants(question, rubric, 4, draw))
    yield from _scored_rows(question, variants, rubric, number, is_shown=draw.random() < 0.8)


def _scored_rows(
    question: Question, variants: Iterable[Variant], rubric: Rubric, number: int, *, is_shown: bool
) -> Iterator[Row]:
    for one in variants:
        yield {
            **constructed_row(
                question.instruction, one.response, rubric, _score(one, rubric), f"{question.kind}-{number}"
            ),
            "reference_answer": question.reference if is_shown else None,
            "kind": one.kind,
        }


def fact_rows(question: Question, number: int, draw: random.Random, *, held_out: bool) -> Iterator[Row]:
    """Yield a question's variants by one rubric for truth; in training a sample of them."""
    rubric = correctness_rubric(draw)
    if question.kind == "everyday" and draw.random() < 0.5:
        rubric = builtin_rubric(draw.choice(("factual_validity", "helpfulness")))
    shown = draw.random() < _SHOWN.get(question.kind, 0.9)
    variants = question.variants
    if not held_out and question.kind != "everyday":
        usable = [one for one in variants if one.kind not in HELD_OUT_FAULTS]
        right = [one for one in usable if one.share == 1.0]
        rest = [one for one in usable if one.share < 1.0]
        variants = (*draw.sample(right, min(3, len(right))), *draw.sample(rest, _VARIANTS - 3))
    yield from _scored_rows(question, variants, rubric, number, is_shown=shown)


def _aspect_rows(number: int, aspects: Mapping[str, Aspect], draw: random.Random) -> Iterator[Row]:
    """Yield the same texts under two rubrics, for aspects or the coverage of items."""
    texts = draw_texts(aspects, 5, draw)
    for name in draw.sample([*aspects, "coverage"], 2):
        if name == "coverage":
            scored = coverage_rubric(texts[0].items), [coverage_level(one.items, one.text) for one in texts]
        else:
            rubric, is_reversed = aspect_rubric(name, aspects[name], draw)
            levels = [aspect_level(aspects[name], one.text) for one in texts]
            scored = rubric, [6 - level if is_reversed else level for level in levels]
        for one, level in zip(texts, scored[1], strict=True):
            yield {**constructed_row(one.instruction, one.text, scored[0], level, f"text-{number}"), "kind": name}


def _criteria_rows(
    questions: Sequence[Question], aspects: Mapping[str, Aspect], draw: random.Random, *, held_out: bool
) -> Iterator[Row]:
    for number, question in enumerate(questions):
        for variant in draw.sample(question.variants, 2):
            asked = truth_criterion(variant, draw)
            if asked is not None and variant.kind not in HELD_OUT_FAULTS:
                cluster = f"{question.kind}-{number}"
                row = constructed_row(question.instruction, variant.response, *asked, cluster)
                yield {**row, "reference_answer": question.reference, "kind": "truth"}
        [text] = draw_texts(aspects, 1, draw)
        for rubric, answer in text_criteria(text, aspects, draw, is_balanced=not held_out):
            yield {**constructed_row(text.instruction, text.text, rubric, answer, f"criteria-{number}"), "kind": "text"}


def _score(variant: Variant, rubric: Rubric) -> float:
    return round(rubric.scale.low + variant.share * (rubric.scale.high - rubric.scale.low), 3)


def constructed_row(
    instruction: str, response: str, rubric: Rubric, score: float | Sequence[float], question: str
) -> Row:
    """Return a row that `prom-reward train-judge` reads; rows of one `question` are held out together."""
    return {
        "question_id": question,
        "instruction": instruction,
        "response": response,
        "rubric": rubric.to_dict(),
        "score": score,
    }
