"""Reads a server's list of models: which of them is the judge."""

from collections.abc import Mapping, Sequence
from typing import Any

from prom_reward.errors import ConfigError, near_miss

_SHOWN_NAMES = 12


def served_name(served: Sequence[Mapping[str, Any]] | None, model: str | None, fallback: str | None = None) -> str:
    """Return the name of the model to ask for: the given one, `fallback` if it is served, or the only one.

    Raises:
        ConfigError: There are several or none and no name is given.
    """
    names = _names(served)
    if model is not None:
        return model
    if fallback in names:
        return str(fallback)
    if len(names) != 1:
        found = f"it serves {_shown(names)}" if names else "it does not say what it serves"
        advice = "" if names else "; check also the url (it often ends in /v1)"
        raise ConfigError(f"got no server.model; {found}, so give the name of the judge's{advice}")
    return names[0]


def unlisted(served: Sequence[Mapping[str, Any]] | None, model: str) -> str:
    """Return that a server's list has other names than a model's; empty if it has its own, or the server has no list.

    Gateways also answer under names that they do not list: deployments, variants, wildcards.
    """
    names = _names(served)
    if not names or model in names:
        return ""
    return f"the server has no model {model!r}; expected one of {_shown(names)}.{near_miss(model, names)}"


def _names(served: Sequence[Mapping[str, Any]] | None) -> list[str]:
    return list(dict.fromkeys(one["id"] for one in served or () if isinstance(one.get("id"), str)))


def _shown(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return ", ".join(names[:_SHOWN_NAMES]) + more


def context_length(served: Sequence[Mapping[str, Any]] | None, name: str) -> int | None:
    """Return the tokens that prompt and answer may take together, if the list says so."""
    length = next((one.get("max_model_len") for one in served or () if one.get("id") == name), None)
    return length if isinstance(length, int) and length > 0 else None
