"""A head on a judge's hidden states, which shifts its distribution over the scores.

From the last hidden state h at the score a head reads t = w.h + b, and p(k) becomes p(k) exp(t u(k)), normalized, where
u(k) is the score's place on the scale, 0 to 1. That is the adjacent-categories logit model (Agresti 2010, "Analysis of
Ordinal Categorical Data", chapter 4) with the judge's own log-probabilities as offset: expected score, distribution,
entropy and integer stay one distribution's, no score leaves the scale, and a head of zeros changes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prom_reward.engines.base import Engine, Generation
from prom_reward.errors import ConfigError, InputError
from prom_reward.files import let_others_read
from prom_reward.judging.fitted_on import FittedOn
from prom_reward.rubrics.rubric import Rubric
from prom_reward.rubrics.scale import ScoreScale
from prom_reward.types import JudgePrompt, Readout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_METADATA = "prom_reward_head"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreHead:
    """A readout that was fitted on one judge's scores."""

    readout: Readout
    """What is read from the hidden state."""
    fitted_on: FittedOn
    """Scale and rubrics; scores on other scales stay the judge's own, as do criteria."""
    judge: Mapping[str, str]
    """What the hidden states depend on: the weights and the prompts; see `PrometheusJudge.states_settings`."""
    name: str = field(default="head", compare=False)
    """Its file, for messages."""

    @property
    def digest(self) -> str:
        """A digest of the readout and its scale."""
        scale = self.fitted_on.scale
        return f"{self.readout.digest}@{scale.low}-{scale.high}"

    def check(self, judge: Mapping[str, str]) -> None:
        """Raise ConfigError if the head was fitted on another judge's hidden states."""
        for key, used in judge.items():
            fitted = self.judge.get(key, "")
            if fitted != used:
                raise ConfigError(
                    f"{self.name}: the head was fitted with {key} {fitted[:80]!a}, the judge has {used[:80]!a}; "
                    "expected the same, so fit one for this judge with `prom-reward tune`"
                )

    def prompt(self, prompt: JudgePrompt, rubric: Rubric) -> JudgePrompt:
        """Return a grading prompt with the readout, if the rubric has the head's scale and is no criterion."""
        covers = self.fitted_on.covers(rubric, self.name)
        return replace(prompt, readout=self.readout) if covers else prompt

    def save(self, path: str | Path) -> None:
        """Write the head as safetensors."""
        import numpy as np
        from safetensors.numpy import save_file

        metadata = {
            "bias": self.readout.bias,
            "scale": [self.fitted_on.scale.low, self.fitted_on.scale.high],
            "rubrics": sorted(self.fitted_on.rubrics),
            "judge": dict(self.judge),
        }
        save_file({"weights": np.frombuffer(self.readout.weights, "<f4")}, path, {_METADATA: json.dumps(metadata)})
        let_others_read(Path(path))

    @classmethod
    def load(cls, path: str | Path) -> "ScoreHead":
        """Read a head.

        Raises:
            ConfigError: The file does not exist or holds no head.
        """
        from safetensors import SafetensorError, safe_open

        expected = "expected a file of `prom-reward tune`"
        try:
            with safe_open(path, framework="np") as file:
                metadata = json.loads((file.metadata() or {})[_METADATA])
                weights = file.get_tensor("weights")
            return cls(
                readout=make_readout(weights, float(metadata["bias"])),
                fitted_on=FittedOn(ScoreScale(*metadata["scale"]), frozenset(map(str, metadata["rubrics"]))),
                judge={str(key): str(value) for key, value in metadata["judge"].items()},
                name=str(path),
            )
        except OSError as error:
            reason = error.strerror or str(error).partition("\n")[0]
            raise ConfigError(f"{path}: cannot read the head ({reason}); {expected}") from error
        except (SafetensorError, InputError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(f"{path}: not a head; {expected}") from error


def states_settings(engine: Engine, prompts: Mapping[str, str]) -> dict[str, str]:
    """Return what the hidden states at a judge's score depend on besides the request.

    Args:
        engine: The judge's engine.
        prompts: What its prompts depend on, with its `mode`.

    Raises:
        ConfigError: There are none: the judge writes feedback, or its engine reads no hidden states.
    """
    if prompts["mode"] != "score" or not engine.states_identity:
        raise ConfigError(
            f"got a head for {type(engine).__name__} in {prompts['mode']} mode; expected score mode, with the weights "
            "in this process (engine: transformers)"
        )
    return {"weights": engine.states_identity, **prompts}


def make_readout(weights: "NDArray[np.floating[Any]]", bias: float) -> Readout:
    """Return the readout of some weights (H,).

    Raises:
        InputError: They are no finite vector.
    """
    import numpy as np

    if weights.ndim != 1 or not len(weights) or not np.isfinite([*weights, bias]).all():
        raise InputError(f"got weights of shape {weights.shape} for a head; expected finite ones, one a hidden unit")
    return Readout(weights=weights.astype("<f4").tobytes(), bias=bias)


def shifted(generation: Generation, scale: ScoreScale) -> Generation:
    """Return a generation whose distribution is shifted by its readout, if it has one, with the likeliest verdict."""
    if not generation.readout or generation.score_logprobs is None:
        return generation
    logprobs = {
        label: value + generation.readout * scale.to_unit(int(label))
        for label, value in generation.score_logprobs.items()
    }
    return replace(generation, text=max(logprobs, key=logprobs.__getitem__), score_logprobs=logprobs)
