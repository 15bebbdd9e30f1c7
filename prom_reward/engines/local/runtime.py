"""A loaded model with its conversation: label distributions behind contexts, with shared beginnings computed once.

It does not know how a call is split into batches.
"""

from collections.abc import Sequence

import torch

from prom_reward.engines.model.loading import LoadedModel
from prom_reward.engines.prefix.prefill import SharedPrefill
from prom_reward.engines.tokens.judge_tokens import JudgeTokens
from prom_reward.engines.tokens.label_probs import LabelQuery, read_labels, token_logprobs
from prom_reward.types import Conversation


class JudgeRuntime(JudgeTokens):
    """A loaded model with its conversation and encoder.

    Args:
        loaded: The model and its tokenizer.
        conversation: The judge's conversation for that tokenizer.
    """

    def __init__(self, loaded: LoadedModel, conversation: Conversation) -> None:
        super().__init__(loaded.tokenizer, conversation)
        self.loaded = loaded
        self.prefill = SharedPrefill(loaded.model)
        generation_eos = getattr(loaded.model.generation_config, "eos_token_id", None)
        eos = generation_eos if isinstance(generation_eos, list) else [generation_eos]
        self.eos_ids = frozenset(token for token in [*eos, loaded.tokenizer.eos_token_id] if token is not None)

    def read(self, queries: Sequence[LabelQuery]) -> tuple[list[dict[str, float]], list[int]]:
        """Return every query's label log-probabilities, and the tokens that were computed for it.

        What the contexts share at their beginning is computed once.
        """
        return read_labels(queries, self._rows)

    def _rows(
        self, contexts: Sequence[list[int]], tokens: Sequence[tuple[int, ...]]
    ) -> tuple[list[dict[int, float]], list[int]]:
        rows: list[dict[int, float]] = [{} for _ in contexts]

        def keep(at: int, logits: torch.Tensor) -> None:
            rows[at] = token_logprobs(logits, tokens[at])

        computed = self.prefill.run(contexts, keep)
        return rows, list(computed)
