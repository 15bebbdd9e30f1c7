"""The data of a report: counts of every judgment, and the judgments whose texts are shown."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from prom_reward.explorer.judged import Judged
from prom_reward.reports.judgments import JudgedPair, prompt_of
from prom_reward.reports.overview.escalations import Escalations
from prom_reward.reports.training_folder import BeforeAfter, Curve
from prom_reward.rubrics.reading import AnyRubric


@dataclass(slots=True, kw_only=True)
class ReportData:
    """The data of a page."""

    title: str
    """The labeled file, or the training's folder."""
    facts: dict[str, str] = field(default_factory=dict)
    """Judge, rubric, date and the like."""
    missing: list[str] = field(default_factory=list)
    """Missing inputs that would add to the report, each with how to get it."""
    is_training: bool = False
    """Whether rows are a training's steps."""
    num_judgments: int = 0
    """Number of all judgments."""
    labels: set[int] = field(default_factory=set)
    """The labels of the rubrics' scales, as far as distributions and scores show them."""
    tokens: Counter[str] = field(default_factory=Counter)
    """Sums of the judgments' token counts, by name."""
    num_with_tokens: int = 0
    """Judgments whose judge tells them."""
    rubrics: Counter[str] = field(default_factory=Counter)
    """Judgments by the rubric's name."""
    digests: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The digests of the rubrics of each name; that of an older log is empty."""
    rubric_labels: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The labels of each rubric's scale, as far as distributions show them."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Outcomes of all judgments."""
    agreement: Counter[str] = field(default_factory=Counter)
    """Agreement of all pairs."""
    scores: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    """Expected scores by rubric and side."""
    entropies: list[float] = field(default_factory=list)
    """Entropies of all scored judgments."""
    lengths: list[tuple[int, float]] = field(default_factory=list)
    """Length and expected score of all scored judgments."""
    step_scores: dict[str, dict[int, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    """A training's expected scores by rubric and step."""
    pairs: list[JudgedPair] = field(default_factory=list)
    """All scored pairs."""
    rewards: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's rewards by step, from 1; those of calls without a trainer by 0, as in what follows."""
    step_outcomes: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """A training's outcomes by step."""
    step_prompts: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    """The digests of a training's prompts by step."""
    step_lengths: dict[int, list[int]] = field(default_factory=lambda: defaultdict(list))
    """A training's response lengths by step, in characters."""
    step_entropies: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    """A training's score entropies by step."""
    num_repeated: int = 0
    """A training's judgments of a response that has one by the same rubric in the same step."""
    group_rewards: dict[tuple[int, str], dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """A training's rewards by step and group, then by the response's name."""
    escalations: Escalations = field(default_factory=Escalations)
    """A training's judgments by a cascade."""
    curves: dict[str, Curve] = field(default_factory=dict)
    """The trainer's own log, by metric."""
    before_after: list[BeforeAfter] = field(default_factory=list)
    """Answers of a training's first and last policy."""
    known_rubrics: dict[str, AnyRubric] = field(default_factory=dict)
    """The rubrics whose text is known, by name."""
    judgments: list[Judged] = field(default_factory=list)
    """The judgments with texts, in order."""
    _responses: dict[tuple[int, str, str], set[str]] = field(
        default_factory=lambda: defaultdict(set), init=False, repr=False
    )
    """A training's responses so far, by step, group and name: the rubrics by which they were judged."""

    @property
    def scale(self) -> tuple[float, float]:
        """The ends of the rubrics' scale; 1 and 5 if nothing shows it."""
        return (min(self.labels), max(self.labels)) if len(self.labels) > 1 else (1, 5)

    @property
    def has_one_scale(self) -> bool:
        """Whether the rubrics have one scale, so that a mean over all scores, and one axis, have a meaning."""
        return len(self.scales) < 2

    @property
    def scales(self) -> list[tuple[int, int]]:
        """The ends of all scales that distributions show, from the lowest on."""
        return sorted({(min(labels), max(labels)) for labels in self.rubric_labels.values() if len(labels) > 1})

    @property
    def has_steps(self) -> bool:
        """Whether a trainer told the steps of a training; what is logged without one are calls."""
        return self.is_training and any(self.step_outcomes)

    @property
    def num_scored(self) -> int:
        """Judgments with a score."""
        return self.outcomes["scored"] + self.outcomes["forced"]

    def count(self, one: Judged) -> None:
        """Count a judgment."""
        self.num_judgments += 1
        self.rubrics[one.rubric] += 1
        self.digests[one.rubric].add(one.digest)
        labels = {0, 1} if one.parts else {*map(int, one.probs or ())}
        self.labels |= labels if one.score is None else {*labels, int(one.score)}
        self.rubric_labels[one.rubric] |= labels
        self.outcomes[one.outcome] += 1
        self.tokens.update({name: count for name, count in one.tokens.items() if count is not None})
        self.num_with_tokens += one.tokens.get("read") is not None
        if one.expected_score is not None:
            self.scores[one.rubric, one.side].append(one.expected_score)
            self.lengths.append((one.length, one.expected_score))
        if one.entropy is not None:
            self.entropies.append(one.entropy)

    def count_step(self, one: Judged) -> None:
        """Count a training's judgment; a response with several rubrics has several, and one length and reward."""
        self.escalations.count(one)
        self.step_outcomes[one.row][one.outcome] += 1
        self.step_prompts[one.row].add(prompt_of(one.group))
        if one.expected_score is not None:
            self.step_scores[one.rubric][one.row].append(one.expected_score)
        if one.entropy is not None:
            self.step_entropies[one.row].append(one.entropy)
        rubrics = self._responses[one.row, one.group, one.member]
        if one.rubric in rubrics and one.row:
            self.num_repeated += bool(one.member)
        elif one.rubric in rubrics:
            rubrics.clear()  # another call names its responses alike
        is_counted = bool(one.member and rubrics)
        rubrics.add(one.rubric)
        if is_counted:
            return
        self.step_lengths[one.row].append(one.length)
        if one.reward is not None:
            self.rewards[one.row].append(one.reward)
            if one.member:
                self.group_rewards[one.row, one.group][one.member] = one.reward
