"""Values that stand for none in the mappings of tables and Arrow data sets."""

from collections.abc import Mapping
from math import isnan
from typing import Any


def is_absent(value: object) -> bool:
    """Whether a mapping's value stands for none: None, or the NaN that tables keep instead."""
    return value is None or (isinstance(value, float) and isnan(value))


def held_keys(mapping: Mapping[Any, Any]) -> set[str]:
    """Return the keys of a mapping that hold a value; Arrow pads the others with None, also inside of mappings."""
    return {
        str(key)
        for key, value in mapping.items()
        if not is_absent(value) and not (isinstance(value, Mapping) and value and not held_keys(value))
    }
