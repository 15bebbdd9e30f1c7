"""Encodes labeled requests as token sequences with a target distribution at the score."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from prom_reward.data.labels.labeled_rows import LabeledRequest
from prom_reward.engines.tokens.encoding import LabelTokens, num_shared
from prom_reward.errors import InputError
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.prometheus import TaskTexts
from prom_reward.prompts.template import SCORE_PREFIX, grading_prompt
from prom_reward.types import JudgePrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingExample:
    """A token sequence that ends before the judge's score."""

    ids: list[int]
    """Prompt, feedback if there is one, `[RESULT]`, and the tokens before the first that differs between labels."""
    prompt_length: int
    """Tokens of the prompt; those that follow are learned as text."""
    label_ids: tuple[int, ...]
    """The token of each label, ascending."""
    label_probs: tuple[float, ...]
    """The target distribution over the labels."""
    source: str
    """The data file's name, for measures by source."""
    family: Hashable
    """Equal if all but the response is equal; such examples share most of their prompts, and their order is learned."""

    @property
    def has_feedback(self) -> bool:
        """Whether feedback before the score is learned, too."""
        return self.prompt_length < len(self.ids)

    @property
    def target(self) -> float:
        """The mean of the target distribution; labels count from 0."""
        return sum(index * prob for index, prob in enumerate(self.label_probs))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleEncoder:
    """Turns labeled requests into examples for one judge."""

    texts: TaskTexts
    """The judge's task texts, in its layout."""
    context_ids: Callable[[JudgePrompt], list[int]]
    """Returns a prompt's ids, up to the first token that differs between labels (`JudgeTokens.context_ids`)."""
    label_tokens: Callable[[tuple[str, ...]], LabelTokens]
    """Returns the tokens of labels (`PromptEncoder.label_tokens`)."""
    guard: bool = True
    """Neutralize judge text in responses, as the judge will."""

    def encode(self, labeled: LabeledRequest, *, source: str, writes_feedback: bool = False) -> TrainingExample:
        """Encode a labeled request, in feedback mode if it has a feedback and `writes_feedback` is set.

        Raises:
            InputError: A label of the scale takes more than one token.
        """
        feedback = neutralize(labeled.feedback or "").strip() if writes_feedback else ""
        feedback = feedback.replace("[RESULT]", "(RESULT)")  # the guard keeps it in code, as an index
        prefix = f"{feedback} {SCORE_PREFIX}" if feedback else SCORE_PREFIX
        prompt = grading_prompt(labeled.request, self.texts, guard=self.guard, response_prefix=prefix)
        ids = self.context_ids(prompt)
        bare = JudgePrompt(prompt.system, prompt.user, "", labels=prompt.labels)
        return TrainingExample(
            ids=ids,
            prompt_length=num_shared(ids, self.context_ids(bare)) if feedback else len(ids),
            label_ids=self._label_ids(prompt.labels),
            label_probs=tuple((labeled.feedback_probs if feedback else labeled.label_probs).values()),
            source=source,
            family=(self.texts, replace(labeled.request, response="")),
        )

    def _label_ids(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        tails = self.label_tokens(labels).tails
        long = [label for label, tail in tails.items() if len(tail) > 1]
        if long:
            raise InputError(
                f"got a tokenizer that writes the score {long[0]} with {len(tails[long[0]])} tokens; expected one "
                "token for soft targets: train on a scale of single digits"
            )
        return tuple(tail[0] for tail in tails.values())
