"""A transformers Trainer for packs, and its validation measures."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from transformers import Trainer, TrainerCallback

from prom_reward.evaluation.agreement import pearson, spearman
from prom_reward.training.losses import LossWeights, expected_index, kept_positions, pack_loss
from prom_reward.training.packing import Pack
from prom_reward.training.tree_attention import is_available, tree_attention

logger = logging.getLogger(__name__)

SAVE_SECONDS = 600.0
"""A training that is killed loses no more than this and a step, however many steps `save_steps` counts."""


class SavesByTime(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Saves a checkpoint if the last one is older than `SAVE_SECONDS`; a slow machine's steps take minutes."""

    def __init__(self) -> None:
        self._saved_at = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint if it is time."""
        if time.monotonic() - self._saved_at >= SAVE_SECONDS:
            control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time of a checkpoint."""
        self._saved_at = time.monotonic()


class StopsAfterStep(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Turns the first SIGINT into a checkpoint after the step, and then a KeyboardInterrupt; the second stops at once.

    A context, to enter in the main thread, which signals reach. It does nothing in another one, and if SIGINT is
    ignored, as in a job of nohup.
    """

    def __init__(self) -> None:
        self._is_asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        """Give SIGINT back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Ask for a checkpoint."""
        control.should_save |= self._is_asked

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop with the checkpoint."""
        if self._is_asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: Any) -> None:
        if self._is_asked:
            raise KeyboardInterrupt
        self._is_asked = True
        logger.warning("stopping with a checkpoint after this step; once more stops at once, without one")


class JudgeTrainer(Trainer):  # type: ignore[misc]  # transformers is not typed
    """A `transformers.Trainer` that trains and measures an adapter on packs.

    Args:
        packs: Training packs, in order.
        validation: Packs to measure at every evaluation.
        weights: The weights of the parts of the loss.
        model: A peft model.
        args: TrainingArguments with `per_device_train_batch_size=1` and `remove_unused_columns=False`.
        other: Further arguments of `transformers.Trainer`.
    """

    def __init__(
        self,
        *,
        packs: Sequence[Pack],
        validation: Sequence[Pack],
        weights: LossWeights,
        model: Any,
        args: Any,
        **other: Any,
    ) -> None:
        super().__init__(
            model=model,
            args=args,
            train_dataset=list(packs),
            eval_dataset=list(validation),
            data_collator=lambda batch: {"pack": batch[0]},
            **other,
        )
        self._weights = weights
        self.control: Any
        # Every example weighs the same, however many examples share its pack.
        self._mean_examples = sum(len(pack.examples) for pack in packs) / max(1, len(packs))
        self.model_accepts_loss_kwargs = False

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_: Any) -> Any:
        """Return the pack's loss divided by the mean number of examples in a pack."""
        pack: Pack = inputs["pack"]
        kept = kept_positions(pack)
        loss = pack_loss(pack_logits(model, pack, kept), kept, pack, self._weights) / self._mean_examples
        return (loss, None) if return_outputs else loss

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Measure the validation packs: mean loss, and correlations of the expected score by source.

        A correlation is left out if it is undefined because one side does not vary.
        """
        measured = {f"{metric_key_prefix}_{name}": value for name, value in self._measures().items()}
        self.log(measured)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, measured)
        return measured

    @torch.no_grad()
    def _measures(self) -> dict[str, float]:
        was_training = self.model.training
        self.model.eval()
        losses: list[float] = []
        found: dict[str, list[tuple[float, float]]] = {}
        for pack in self.eval_dataset:
            kept = kept_positions(pack)
            with self.compute_loss_context_manager():
                logits = pack_logits(self.model, pack, kept)
            losses.append(float(pack_loss(logits, kept, pack, self._weights)))
            row_of = {place: row for row, place in enumerate(kept)}
            for example, places in zip(pack.examples, pack.places, strict=True):
                expected = float(expected_index(logits[row_of[places[-1]]], example.label_ids))
                found.setdefault(example.source, []).append((expected, example.target))
        self.model.train(was_training)
        measures = {"loss": sum(losses) / max(1, sum(len(pack.examples) for pack in self.eval_dataset))}
        for source, pairs in found.items():
            expected_scores, targets = zip(*pairs, strict=True)
            predicted, labels = np.array(expected_scores), np.array(targets)
            found_here = {
                f"{source}_pearson": pearson(predicted, labels),
                f"{source}_spearman": spearman(predicted, labels),
            }
            measures |= {name: value for name, value in found_here.items() if value is not None}
        return _with_selection(measures)


def _with_selection(measures: Mapping[str, float]) -> dict[str, float]:
    """Add the mean correlation, and the figure that selects the checkpoint: this mean or, if undefined, -loss."""
    pearsons = [value for name, value in measures.items() if name.endswith("_pearson")]
    if not pearsons:
        return {**measures, "selection": -measures["loss"]}
    mean = sum(pearsons) / len(pearsons)
    return {**measures, "pearson": mean, "selection": mean}


def pack_logits(model: Any, pack: Pack, kept: Sequence[int]) -> torch.Tensor:
    """Return a pack's raw logits (N, V) at the kept positions."""
    from peft.helpers import disable_input_dtype_casting

    device = model.device
    runs = {"tree_runs": pack.runs} if len(pack.runs) > 1 else {}
    # Under autocast the adapter computes in the base's dtype; casting its input costs time for nothing.
    no_casts = disable_input_dtype_casting(model) if torch.is_autocast_enabled(device.type) else nullcontext()
    with no_casts:
        output = model(
            input_ids=torch.tensor([pack.ids], device=device),
            position_ids=torch.tensor([pack.positions], device=device),
            use_cache=False,
            logits_to_keep=torch.tensor(kept, device=device),
            **runs,
        )
    logits: torch.Tensor = output.logits[0]
    return logits


@contextmanager
def packs_attention(model: Any) -> Iterator[bool]:
    """Let a model attend in runs if it can; yields whether packs of several examples are possible."""
    can = is_available(model)
    attention: AbstractContextManager[None] = tree_attention(model) if can else nullcontext()
    with attention:
        yield can
