"""Labelled requests become token sequences with a target distribution at the score.

It does not know models or optimisers: prompts come from the judge that will be asked them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from prom_reward.data.human_labels import LabelledRequest
from prom_reward.engines.tokens.encoding import LabelTokens, num_shared
from prom_reward.errors import InputError
from prom_reward.prompts.guard.neutralize import neutralize
from prom_reward.prompts.prometheus import TaskTexts
from prom_reward.prompts.template import SCORE_PREFIX, grading_prompt
from prom_reward.types import JudgePrompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A token sequence that ends where the judge's score stands."""

    ids: list[int]
    """Prompt, feedback where there is one, `[RESULT]`, and what the labels share in front of them."""
    prompt_length: int
    """Tokens before the judge's own; what follows up to the score is learnt as text."""
    label_ids: tuple[int, ...]
    """The token of each label, ascending."""
    label_probs: tuple[float, ...]
    """The target distribution over the labels."""
    source: str
    """The name of the data, for measures by source."""
    family: int
    """Equal where all but the response is: such examples share most of their prompts."""

    @property
    def has_feedback(self) -> bool:
        """Whether the judge's text before the score is learnt, too."""
        return self.prompt_length < len(self.ids)

    @property
    def target(self) -> float:
        """The mean of the target distribution, with the labels counted from 0."""
        return sum(index * prob for index, prob in enumerate(self.label_probs))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleEncoder:
    """Turns labelled requests into examples for one judge."""

    texts: TaskTexts
    """The judge's task texts, in its layout."""
    context_ids: Callable[[JudgePrompt], list[int]]
    """Ids of a rendered prompt, up to where the labels part (`JudgeTokens.context_ids`)."""
    label_tokens: Callable[[tuple[str, ...]], LabelTokens]
    """How the tokenizer writes labels (`PromptEncoder.label_tokens`)."""
    guard: bool = True
    """Neutralize judge text in responses, as the judge will."""

    def encode(self, labelled: LabelledRequest, *, source: str, writes_feedback: bool = False) -> Example:
        """Return the example of a labelled request, in feedback mode where it has one and that is wanted.

        Raises:
            InputError: A label of the scale takes more than one token, for which there is no soft target.
        """
        feedback = neutralize(labelled.feedback or "").strip() if writes_feedback else ""
        feedback = feedback.replace("[RESULT]", "(RESULT)")  # which the guard leaves where it is an index in code
        prefix = f"{feedback} {SCORE_PREFIX}" if feedback else SCORE_PREFIX
        prompt = grading_prompt(labelled.request, self.texts, guard=self.guard, response_prefix=prefix)
        ids = self.context_ids(prompt)
        bare = JudgePrompt(prompt.system, prompt.user, "", labels=prompt.labels)
        return Example(
            ids=ids,
            prompt_length=num_shared(ids, self.context_ids(bare)) if feedback else len(ids),
            label_ids=self._label_ids(prompt.labels),
            label_probs=tuple((labelled.feedback_probs if feedback else labelled.label_probs).values()),
            source=source,
            family=hash((self.texts, replace(labelled.request, response=""))),
        )

    def _label_ids(self, labels: tuple[str, ...]) -> tuple[int, ...]:
        tails = self.label_tokens(labels).tails
        long = [label for label, tail in tails.items() if len(tail) > 1]
        if long:
            raise InputError(
                f"the tokenizer writes the score {long[0]} with {len(tails[long[0]])} tokens, and soft targets need "
                "one; train on a scale of single digits"
            )
        return tuple(tail[0] for tail in tails.values())
