"""The Judge protocol: all that rewards, labeling, evaluation and audits ask of a judge."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

from prom_reward.errors import ConfigError
from prom_reward.rubrics.reading import AnyRubric, RubricLike
from prom_reward.types import Comparison, ComparisonRequest, GradingRequest, Judgment


@runtime_checkable
class Judge(Protocol):
    """Grades and compares responses. Lists come back with the same length, in order.

    To write a judge of your own, subclass it with `fingerprint` and `grade`; the rest has defaults.

    Example:
        >>> class WordCount(Judge):
        ...     fingerprint = "word-count"
        ...
        ...     def grade(self, requests):
        ...         scores = [min(5, 1 + len(request.response.split()) // 20) for request in requests]
        ...         return [Judgment(outcome=Outcome.SCORED, score=one) for one in scores]
    """

    name: str = "judge"
    """A short name for logs and reports."""
    guard: bool = True
    """Whether judge text in responses is neutralized."""
    reads_checklists: bool = False
    """Whether `grade` takes requests by checklists; if not, it is asked for one criterion at a time."""
    taught_to_rank: bool = True
    """Whether the judge was trained for pairwise ranking."""
    is_repeatable: bool = False
    """Whether equal requests always get equal answers, so that one answer may serve several of them."""
    judges_groups: bool = False
    """Whether an answer depends on the other responses to its instruction in the call, so that none may be missing."""
    pairs_note: str = ""
    """A measured limit of the judge on preference pairs, for a warning after "the judge is"; empty if none is known."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Everything that can change a judgment besides the request."""
        ...

    @property
    def ranks(self) -> bool:
        """Whether `compare` asks the model to rank; else comparisons are made of grades, or refused."""
        return type(self).compare is not Judge.compare

    @property
    def identity(self) -> str:
        """The part of the fingerprint that is the same on every machine; reading it touches no device."""
        return self.fingerprint

    @property
    def machine(self) -> Mapping[str, Any]:
        """Settings of this machine that can change a judgment (device, threads); empty for remote weights."""
        return {}

    def seeded(self, seed: int) -> "Judge":
        """Return this judge, with a seed if it samples without one."""
        return self

    def without_cache(self) -> "Judge":
        """Return this judge asking for everything anew, to measure time or change; a server's own cache stays."""
        return self

    def load(self) -> None:
        """Load the weights now; without it they are loaded at the first use."""
        return

    def take_metrics(self) -> Mapping[str, float]:
        """Return the counts since the last call, by name; durations in seconds."""
        return {}

    @abstractmethod
    def grade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade each response by direct assessment."""
        ...

    def grade_one(
        self, *, instruction: str, response: str, rubric: RubricLike, reference_answer: str | None = None
    ) -> Judgment:
        """Grade one response by direct assessment.

        Args:
            instruction: The policy's prompt.
            response: The policy's answer.
            rubric: A rubric or checklist in any form that `read_rubrics` reads, for example "helpfulness".
            reference_answer: An answer that deserves the best score, if there is one.
        """
        from prom_reward.judging.checklists import grade_requests

        request = GradingRequest(
            instruction=instruction,
            response=response,
            rubric=cast(AnyRubric, rubric),  # the request reads it
            reference_answer=reference_answer,
        )
        return grade_requests(self, [request])[0]

    async def agrade(self, requests: Sequence[GradingRequest]) -> list[Judgment]:
        """Grade as `grade` does, without blocking the event loop; by default in a thread."""
        return await asyncio.to_thread(self.grade, requests)

    def compare(self, requests: Sequence[ComparisonRequest]) -> list[Comparison]:
        """Compare the two responses of each request by pairwise ranking.

        Raises:
            ConfigError: The judge grades single responses only.
        """
        raise ConfigError(f"the judge {self.name!r} does not compare responses; grade both, or take another judge")


def note_on_members(judges: Iterable[Judge]) -> str:
    """Return the `pairs_note` of a judge that is made of others: theirs, as nothing was measured on the whole."""
    noted = [f"{one.name}, which alone is {one.pairs_note}" for one in judges if one.pairs_note]
    return f"made of {'; and of '.join(noted)}" if noted else ""
