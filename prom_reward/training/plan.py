"""Plans the steps of a training: packs, and how many of them make a step; few examples give steps enough, too."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

from prom_reward.training.arguments import DEFAULTS, AdapterRun
from prom_reward.training.examples import TrainingExample
from prom_reward.training.packing import Pack, pack_examples

PACK_TOKENS = 2048
"""Tokens of a pack if there are examples enough."""
ENOUGH_STEPS = 30
"""With fewer steps, packs get smaller and fewer of them make a step, unless the recipe names their numbers."""
FEW_STEPS = 10
"""Fewer steps teach little."""
_SMALLER_PACKS = (1024, 512)
_WARMUP_SHARE = 5  # the learning rate rises in at most a fifth of the steps


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """The steps of a training."""

    run: AdapterRun
    """The settings, with all numbers that follow from the data."""
    packs: list[Pack]
    """The training packs, in order."""
    epoch_steps: int
    """Steps in which every pack is trained on once."""
    all_steps: int
    """Steps of all epochs."""
    steps: int
    """Steps that are taken if the training is not stopped early: `max_steps`, or all if they are fewer."""

    @property
    def num_tokens(self) -> int:
        """Tokens that an epoch computes; those that examples of a pack share count once."""
        return sum(len(pack.ids) for pack in self.packs)


def plan_steps(examples: Sequence[TrainingExample], run: AdapterRun, *, shares: bool) -> StepPlan:
    """Return the packs and settings of a training; the same examples and settings give the same plan.

    Args:
        examples: Those to train on, with repetitions.
        run: The settings. What it leaves open is chosen: the first numbers that give enough steps, or the most steps.
        shares: Whether the model can attend in packs of several examples.
    """
    epochs = float(run.trainer.get("num_train_epochs", DEFAULTS["num_train_epochs"]))
    best: tuple[int, int, int, int, list[Pack]] | None = None
    for accumulation, pack_tokens, apart in _choices(run):
        packs = pack_examples(examples, max_tokens=pack_tokens, seed=run.seed, shares=shares, apart=apart)
        epoch_steps = max(1, ceil(len(packs) / accumulation))
        all_steps = ceil(epochs * epoch_steps)
        if best is None or all_steps > best[0]:
            best = all_steps, epoch_steps, accumulation, pack_tokens, packs
        if all_steps >= ENOUGH_STEPS:
            break
    assert best is not None
    all_steps, epoch_steps, accumulation, pack_tokens, packs = best
    most = int(run.trainer.get("max_steps", -1))
    steps = min(most, all_steps) if most > 0 else all_steps
    chosen = {
        "gradient_accumulation_steps": accumulation,
        "warmup_steps": min(DEFAULTS["warmup_steps"], steps // _WARMUP_SHARE),
        **run.trainer,
        **({"max_steps": steps} if most > 0 else {}),  # transformers would begin the data again
    }
    run = replace(run, pack_tokens=pack_tokens, trainer=chosen)
    return StepPlan(run=run, packs=packs, epoch_steps=epoch_steps, all_steps=all_steps, steps=steps)


def _choices(run: AdapterRun) -> Iterator[tuple[int, int, bool]]:
    """Yield packs a step, tokens a pack, and whether repetitions lie in packs of their own; coarse ones first."""
    given = run.trainer.get("gradient_accumulation_steps")
    default = DEFAULTS["gradient_accumulation_steps"]
    coarse, fine = (int(given), int(given)) if given else (default, 1)
    first = run.pack_tokens or PACK_TOKENS
    yield coarse, first, False
    yield fine, first, False
    yield fine, first, True
    if run.pack_tokens is None:
        for smaller in _SMALLER_PACKS:
            yield fine, smaller, True
