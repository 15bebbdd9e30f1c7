"""The data collator that returns a reward model's rows by their token ids.

PPO, Nash-MD and XPO show nothing but token ids to a reward model. This collator makes those ids, and keeps the rows
until the ids come back.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from prom_reward.errors import ConfigError, RowError

Row = Mapping[str, Any]

_MAX_WAITING = 1024  # batches; a trainer prefetches a few, and an evaluation that stops early leaves some unused


@dataclass(slots=True, eq=False)
class _Batch:
    """Rows that were collated together."""

    rows: Sequence[Row]
    """The data set's rows."""
    ids: torch.Tensor
    """Their prompts (B, T), padded on the left."""
    num_taken: int = 0
    """Number of rows that came back already."""

    def is_next(self, ids: torch.Tensor) -> bool:
        """Whether these prompts (N, T) are the batch's next N rows."""
        expected = self.ids[self.num_taken : self.num_taken + len(ids)]
        width = expected.shape[1]
        return len(expected) == len(ids) and ids.shape[1] >= width and torch.equal(expected, ids[:, :width].cpu())


class PromptCollator:
    """Pads prompts on the left, and keeps their rows in the order in which they come back.

    For PPO rows have `prompt` (a string or messages) or `input_ids`, for Nash-MD and XPO `prompt`. Their other columns,
    such as a rubric and a reference answer, reach the reward. It works in the training process: leave
    `dataloader_num_workers` at 0.

    Args:
        tokenizer: The policy's tokenizer, with a pad token.

    Raises:
        ConfigError: The tokenizer has no pad token.
    """

    def __init__(self, tokenizer: Any) -> None:
        if tokenizer.pad_token_id is None:
            raise ConfigError("got a tokenizer without a pad token; set tokenizer.pad_token = tokenizer.eos_token")
        self.tokenizer = tokenizer
        self._waiting: deque[_Batch] = deque(maxlen=_MAX_WAITING)
        self._current: _Batch | None = None

    def __call__(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return tensors `input_ids` and `attention_mask` (B, T), and every other column as a list.

        Raises:
            RowError: A row has neither a prompt nor its ids, or its messages do not fit the chat template.
        """
        if "prompt_input_ids" in rows[0]:
            return self._again(rows)
        ids = self._padded([self._prompt_ids(row) for row in rows])
        self._waiting.append(_Batch(rows, ids))
        columns = {name: [row.get(name) for row in rows] for name in rows[0] if name not in ("input_ids", "labels")}
        return {**columns, "input_ids": ids, "attention_mask": (ids != self.tokenizer.pad_token_id).long()}

    def take(self, ids: torch.Tensor) -> tuple[int, Sequence[Row]]:
        """Return the length of the padded prompts, and the rows of N prompts with responses (N, T).

        Raises:
            RowError: They did not come through this collator.
        """
        if self._current is not None and self._current.is_next(ids):  # Nash-MD and XPO ask twice for the same prompts
            return self._current.ids.shape[1], self._current.rows
        batch = next((batch for batch in self._waiting if batch.is_next(ids)), None)
        if batch is None:
            raise RowError(
                "got prompts that did not come through the reward model's data collator; pass "
                "data_collator=reward_model.data_collator to the trainer and leave dataloader_num_workers at 0"
            )
        rows = batch.rows[batch.num_taken : batch.num_taken + len(ids)]
        batch.num_taken += len(ids)
        if batch.num_taken == len(batch.rows):
            self._waiting.remove(batch)
        return batch.ids.shape[1], rows

    def _again(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Pad prompts that Nash-MD and XPO tokenized from the oldest waiting rows in their training step."""
        if not self._waiting or len(self._waiting[0].rows) != len(rows):
            raise RowError(
                f"got {len(rows)} tokenized prompts whose rows did not come through this collator in this process; "
                "leave dataloader_num_workers at 0"
            )
        ids = self._padded([row["prompt_input_ids"] for row in rows])
        mask = self._padded([row["prompt_attention_mask"] for row in rows], value=0)
        self._current = _Batch(self._waiting.popleft().rows, ids)
        return {"prompt_input_ids": ids, "prompt_attention_mask": mask}

    def _prompt_ids(self, row: Row) -> list[int]:
        if row.get("input_ids") is not None:
            return [int(token) for token in row["input_ids"]]
        prompt = row.get("prompt")
        if isinstance(prompt, str):
            return list(self.tokenizer(prompt).input_ids)
        if not prompt:
            raise RowError(f"got a row with the columns {', '.join(row)}; expected prompt or input_ids")
        if not all(isinstance(one, Mapping) and "role" in one for one in prompt):
            raise RowError(f"got the prompt {prompt!r:.60}; expected a text, or messages with role and content")
        goes_on = prompt[-1]["role"] == "assistant"
        try:
            text = self.tokenizer.apply_chat_template(
                prompt, tokenize=False, add_generation_prompt=not goes_on, continue_final_message=goes_on
            )
        except Exception as error:  # a template fails in its own words: jinja2's, Python's, or any that it raises
            raise RowError(
                f"the tokenizer's chat template fails on the prompt {prompt!r:.60} ({type(error).__name__}: "
                f"{error}); expected messages in the form that it takes, such as a text as content"
            ) from error
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _padded(self, prompts: Sequence[Sequence[int]], value: int | None = None) -> torch.Tensor:
        """Return (B, T), padded on the left."""
        width = max(len(prompt) for prompt in prompts)
        padded = torch.full((len(prompts), width), self.tokenizer.pad_token_id if value is None else value)
        for row, prompt in zip(padded, prompts, strict=True):
            row[width - len(prompt) :] = torch.tensor(prompt, dtype=padded.dtype)
        return padded
