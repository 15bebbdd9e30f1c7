"""The settings of judges that are made of judges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from prom_reward.errors import ConfigError
from prom_reward.files import names_settings_file, read_yaml
from prom_reward.judging.composed.escalation import EscalateBy
from prom_reward.judging.composed.panel import Aggregate
from prom_reward.settings.resolution import as_mapping, judge_beside
from prom_reward.settings.validation import Strict, validated

JudgeValue = str | dict[str, Any]
"""Whatever `load_judge` takes, in a YAML file."""


class CascadeConfig(Strict):
    """The key `cascade` of a judge's settings; see `prom_reward.judging.composed.cascade.CascadeJudge`."""

    name: str = "cascade"
    """A name for logs and reports."""
    cheap: JudgeValue
    """The judge of everything."""
    strong: JudgeValue
    """The judge of undecided groups."""
    budget: float = Field(default=0.3, ge=0, le=1)
    """The largest share of a call's requests that the strong judge gets."""
    max_calls: int | None = Field(default=None, ge=0)
    """The largest number of them."""
    by: EscalateBy = "group_margin"
    """The groups that go first."""

    @property
    def judges(self) -> list[JudgeValue]:
        """Both judges."""
        return [self.cheap, self.strong]


class PanelConfig(Strict):
    """The key `panel` of a judge's settings; see `prom_reward.judging.composed.panel.PanelJudge`."""

    name: str = "panel"
    """A name for logs and reports."""
    judges: list[JudgeValue] = Field(min_length=2)
    """The judges."""
    aggregate: Aggregate = "mean"
    """The rule that joins their scores."""


_KINDS: Mapping[str, type[CascadeConfig] | type[PanelConfig]] = {"cascade": CascadeConfig, "panel": PanelConfig}


def composed_config(judge: str | Path | Mapping[str, Any]) -> CascadeConfig | PanelConfig | None:
    """Return the settings of a cascade or a panel; None for any other judge.

    Args:
        judge: A YAML file or a mapping whose only key is `cascade` or `panel`; or another judge.

    Raises:
        ConfigError: A key is unknown, or there are others beside it.
    """
    if not isinstance(judge, Mapping) and not (isinstance(judge, str | Path) and names_settings_file(str(judge))):
        return None
    where = "judge" if isinstance(judge, Mapping) else str(judge)
    settings = judge if isinstance(judge, Mapping) else as_mapping(read_yaml(judge), where)
    kind = next((key for key in _KINDS if key in settings), None)
    if kind is None:
        return None
    if others := [str(key) for key in settings if key != kind]:
        raise ConfigError(f"{where}: got {', '.join(others)} beside {kind!r}; expected them in it, or in its judges")
    own = as_mapping(settings[kind], f"{where}: {kind}")
    if not isinstance(judge, Mapping):
        own = _with_judges_beside(own, Path(judge))
    return validated(_KINDS[kind], own, f"{where}: {kind}")


def _with_judges_beside(settings: dict[str, Any], file: Path) -> dict[str, Any]:
    """Return a file's settings, with the full paths of what lies beside it in the judges that it names."""

    def found(value: Any) -> Any:
        if isinstance(value, Mapping) and (kind := next((key for key in _KINDS if key in value), None)):
            inner = value[kind]
            return {**value, kind: _with_judges_beside(inner, file) if isinstance(inner, dict) else inner}
        return judge_beside(value, file) if isinstance(value, str | dict) else value

    judges = settings.get("judges")
    several = {"judges": [found(one) for one in judges]} if isinstance(judges, list) else {}
    return {**settings, **{key: found(settings[key]) for key in ("cheap", "strong") if key in settings}, **several}
