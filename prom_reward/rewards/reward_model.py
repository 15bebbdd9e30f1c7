"""PrometheusRewardModel: a reward as the module that PPO, Nash-MD and XPO take.

Those trainers call TRL's `get_reward(model, query_responses, pad_token_id, context_length)`, which asks a module's
backbone for hidden states and its head for a score at the last token.
"""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Literal, Protocol

import torch

from prom_reward.errors import ConfigError, UnscoredError, number_of
from prom_reward.prompts import rendered
from prom_reward.prompts.messages import last_role
from prom_reward.rewards.prompt_collator import PromptCollator, Row
from prom_reward.rubrics.formats import is_number
from prom_reward.thinking import is_mark, opening_mark

logger = logging.getLogger(__name__)

OnUnscored = Literal["mean", "raise"] | float

_NUM_TOKENS_OF_OPENING = 64  # more than any template writes after the last message
_NO_COLUMNS = frozenset(
    {"prompt", "prompts", "completion", "completions", "input_ids", "attention_mask", "labels"}
    | {"log_metric", "log_extra", "trainer_state"}
)


class Reward(Protocol):
    """A reward function with a name, such as `PrometheusReward`."""

    __name__: str

    def __call__(self, prompts: Sequence[Any], completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """Return one reward per completion, in order."""
        ...


class PrometheusRewardModel(torch.nn.Module):
    """A reward as the `reward_model` of PPOTrainer, or the `reward_funcs` of NashMDTrainer and XPOTrainer.

    `PrometheusReward.as_reward_model` makes it. It has no parameters, so trainers do not move, shard or save the judge.
    Give its `data_collator` to the trainer: it knows where every prompt ends and which row the prompt came from. With
    several processes each scores its own rows.

    Args:
        reward: Scores the responses.
        processing_class: The policy's tokenizer, or a processor that has one.
        on_unscored: The reward of a response that could not be scored; these trainers need a finite number. "mean":
            the mean of the scored responses in the call, or of the last call with any; "raise": UnscoredError; a
            number: that reward. If the reward's own `on_unscored` is "raise" or a number, that one counts.

    Attributes:
        data_collator: The `data_collator` for the trainer.
        num_scored: Number of scored responses so far, in this process.
        num_unscored: Number of responses so far that got the number of `on_unscored`, in this process.
        metrics: The last call's `judge/...` metrics, because these trainers cannot log them.

    Raises:
        ConfigError: `on_unscored` is none of the above, or the tokenizer has no pad token.
    """

    base_model_prefix = "backbone"
    """The attribute in which TRL finds the backbone."""

    def __init__(self, reward: Reward, processing_class: Any, *, on_unscored: OnUnscored = "mean") -> None:
        super().__init__()
        if not is_number(on_unscored) and on_unscored not in ("mean", "raise"):
            raise ConfigError(f"got on_unscored={on_unscored!r}; expected 'mean', 'raise' or a finite number")
        self.reward = reward
        self.tokenizer = getattr(processing_class, "tokenizer", processing_class)
        self.data_collator = PromptCollator(self.tokenizer)
        self.on_unscored: OnUnscored = on_unscored
        self.config = SimpleNamespace(_name_or_path=reward.__name__)  # trainers name a reward model by it
        self.num_scored = 0
        self.num_unscored = 0
        self.metrics: dict[str, float] = {}
        self._last_mean: float | None = None

    def backbone(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **unused: Any) -> SimpleNamespace:
        """Return the rewards of prompts with responses as hidden states (B, T, 1), the same at every token.

        Args:
            input_ids: (B, T), 0 where masked.
            attention_mask: (B, T), false at every pad token, and so at the EOS if that is the pad token.
            unused: TRL's other arguments for a backbone.
        """
        shown = torch.where(attention_mask.bool(), input_ids, self.tokenizer.pad_token_id)  # as they were generated
        length, rows = self.data_collator.take(shown)
        completions = [
            self._completion(row, ids[:length], ids[length:]) for row, ids in zip(rows, shown.tolist(), strict=True)
        ]
        rewards = torch.tensor(self._rewards(rows, completions), dtype=torch.float32, device=input_ids.device)
        return SimpleNamespace(hidden_states=(rewards[:, None, None].expand(*input_ids.shape, 1),))

    @staticmethod
    def score(hidden_states: torch.Tensor) -> torch.Tensor:
        """Return the rewards (B, T, 1) as they are."""
        return hidden_states

    def forward(self, *args: Any, **kwargs: Any) -> None:
        """Refuse trainers that take a reward function.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "got a reward model, but this trainer takes a reward function; pass the PrometheusReward itself"
        )

    def _completion(self, row: Row, prompt_ids: list[int], ids: list[int]) -> Any:
        """Return a response up to its first EOS or pad token, in the form of its prompt.

        A message begins with the mark of thoughts that the chat template has opened.
        """
        opening = opening_mark(self.tokenizer.decode(prompt_ids[-_NUM_TOKENS_OF_OPENING:], skip_special_tokens=False))
        ends = (self.tokenizer.eos_token_id, self.tokenizer.pad_token_id)
        end = next((index for index, token in enumerate(ids) if token in ends), len(ids))
        prompt, response = row.get("prompt"), self._text(ids[:end], opening)
        if prompt is None or isinstance(prompt, str):
            return response
        begun = "" if last_role(prompt) == "assistant" else opening
        return [{"role": "assistant", "content": begun + response}]

    def _text(self, ids: list[int], opening: str = "") -> str:
        """Return the text of ids without special tokens, but with those that are marks of thoughts.

        Args:
            ids: Token ids.
            opening: The mark that opens thoughts before them; empty if none does.
        """
        text, written = (str(self.tokenizer.decode(ids, skip_special_tokens=skips)) for skips in (True, False))
        if text == written:
            return text
        texts, names = (
            {token: self.tokenizer.decode([token], skip_special_tokens=skips) for token in set(ids)}
            for skips in (True, False)
        )
        kept = [token for token in ids if texts[token] == names[token] or is_mark(names[token].strip(), opening)]
        return str(self.tokenizer.decode(kept, skip_special_tokens=False))

    def _rewards(self, rows: Sequence[Row], completions: Sequence[Any]) -> list[float]:
        prompts = [self._prompt(row) for row in rows]
        names = {name for row in rows for name in row} - _NO_COLUMNS
        columns: dict[str, Any] = {name: [row.get(name) for row in rows] for name in sorted(names)}
        log = self.metrics.__setitem__
        return self._filled(self.reward(prompts=prompts, completions=completions, log_metric=log, **columns))

    def _prompt(self, row: Row) -> Any:
        """Return a row's `prompt`; if it has none, the messages that its ids are, or else their text."""
        if row.get("prompt") is not None:
            return row["prompt"]
        written = str(self.tokenizer.decode(row["input_ids"], skip_special_tokens=False))
        found = rendered.messages(written.removeprefix(self.tokenizer.bos_token or ""))
        return self._text(row["input_ids"]) if found is None else found

    def _filled(self, rewards: list[float | None]) -> list[float]:
        """Replace the rewards of unscored responses, and count these."""
        scored = [reward for reward in rewards if reward is not None]
        num_unscored = len(rewards) - len(scored)
        self.num_scored += len(scored)
        self._last_mean = sum(scored) / len(scored) if scored else self._last_mean
        if not num_unscored:
            return scored
        filling = self._last_mean if self.on_unscored == "mean" else self.on_unscored
        if filling is None or isinstance(filling, str):
            why = "on_unscored is 'raise'" if filling else "no response was scored yet, so there is no mean"
            raise UnscoredError(
                f"{num_unscored} of {number_of(len(rewards), 'response')} could not be scored, and {why}"
            )
        self.num_unscored += num_unscored
        logger.warning(
            "%d of %s could not be scored, with the reward %.4g instead (%d of %d so far)",
            num_unscored,
            number_of(len(rewards), "response"),
            filling,
            self.num_unscored,
            self.num_scored + self.num_unscored,
        )
        return [filling if reward is None else reward for reward in rewards]
