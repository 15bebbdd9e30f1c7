"""Validates settings; the first wrong one becomes one line."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from prom_reward.errors import ConfigError, check_unquoted, near_miss

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A mapping whose keys are all known."""

    # A wrong input may be a key in the wrong place: pydantic's own message would show it.
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)


def _without_quoted_flags(arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    check_unquoted(str(info.field_name), arguments)
    return arguments


Arguments = Annotated[dict[str, Any], AfterValidator(_without_quoted_flags)]
"""Arguments that are handed on to another library; a boolean in quotes is refused."""


def validated(model: type[Model], settings: Mapping[str, Any], where: str) -> Model:
    """Validate settings; the first wrong one becomes one line."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(model, error)}") from error


def _first_problem(model: type[BaseModel], error: ValidationError) -> str:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"] if part not in ("str", "dict[str,any]")]  # of a union
    *parents, key = place or ["?"]  # a key that is no text has no place
    inside = f" in {'.'.join(parents)!r}" if parents else ""
    known = _keys(model, parents[0] if parents else "")
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"unknown key {key!r}{inside}; expected one of {', '.join(known)}.{near_miss(key, known)}"
    if first["type"] == "missing":
        return f"missing key {key!r}{inside}; it has no default"
    return f"key {key!r}{inside}: got {first['input']!r:.60}; {first['msg'][0].lower()}{first['msg'][1:]}"


def _keys(model: type[BaseModel], part: str) -> list[str]:
    """Return the known keys of a model, or of the settings that it holds under `part`."""
    if part not in model.model_fields:
        return list(model.model_fields)
    annotation = model.model_fields[part].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and is_dataclass(kind):
            return [field.name for field in fields(kind) if field.name != "url"]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return list(kind.model_fields)
    return list(model.model_fields)
