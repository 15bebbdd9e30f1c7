"""The facts that a reward needs about the trainer that calls it."""

from dataclasses import dataclass
from typing import Any, Literal

from prom_reward.errors import ConfigError


@dataclass(frozen=True, slots=True)
class CallingTrainer:
    """What the loggers of a call tell about its trainer."""

    prefix: str = ""
    """Before all names of metrics and columns: "NAME/" if the trainer has several reward functions, else empty."""
    mode: Literal["train", "eval"] | None = None
    """What the batch is for; None if the trainer passes no loggers."""

    @classmethod
    def of(cls, logger: Any, name: str) -> "CallingTrainer":
        """Return the facts of the trainer that passed `logger`. TRL's loggers are methods of the trainer.

        Args:
            logger: The call's `log_metric` or `log_extra`.
            name: The reward's name.

        Raises:
            ConfigError: Another reward function of the trainer has the same name.
        """
        trainer = getattr(logger, "__self__", None)
        functions = getattr(trainer, "reward_funcs", None)
        functions = functions if isinstance(functions, list | tuple) else []
        names = [getattr(function, "__name__", "") for function in functions]
        if names.count(name) > 1:
            raise ConfigError(f"got two reward functions named {name!r}; give each a name of its own: name='...'")
        is_training = getattr(getattr(trainer, "model", None), "training", None)
        mode: Literal["train", "eval"] | None = None if is_training is None else "train" if is_training else "eval"
        return cls("" if names in ([], [name]) else f"{name}/", mode)
