"""Lists as numpy prints them, with no commas between their entries: neither JSON nor Python reads them as they were."""

import re

from prom_reward.errors import RowError

_STRING = re.compile(
    r"\'\'\'(?:[^\\]|\\.)*?\'\'\'|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL
)
_JOINED = re.compile(r"''\s*\w{0,2}''")
_PRINTED = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?=[^\"\n]*')(?:[^\"\\\n]|\\.)*\"|\\.")  # as Python prints a text
_TEXTS = re.compile(r"\[(?:''|None|nan|\.\.\.)(?:\s+(?:''|None|nan|\.\.\.))+\]")
_ARRAY = re.compile(r"array\(\[\s*(?:''|\{'':|list\().*\],\s*dtype=object\)", re.DOTALL)
_LISTS = re.compile(r"\[list\(\[.*\]\)\]", re.DOTALL)
_MAPPINGS = re.compile(r"\}\s+(?:\.\.\.\s+)?\{'':")


def joins_texts(text: str) -> bool:
    """Whether texts of a Python literal stand side by side without a comma, which Python joins to one."""
    return _JOINED.search(_STRING.sub("''", text)) is not None


def is_numpy_text(text: str) -> bool:
    """Whether a text is a list that numpy printed: texts or mappings without commas between them, or `array(...)`.

    A list of one entry, or of numbers, may be anything else. `datasets` and `pandas` write all of them into CSV files.
    """
    stripped = text.strip()
    if not (stripped.startswith(("[", "{'", "array([")) and stripped.endswith(("]", "}", "dtype=object)"))):
        return False
    bare = _PRINTED.sub(lambda found: found[0] if found[0].startswith("\\") else "''", stripped)
    if bare.startswith("array("):
        return _ARRAY.fullmatch(bare) is not None
    if bare.startswith("[list(["):
        return _LISTS.fullmatch(bare) is not None
    if bare.startswith(("[{'':", "{'':", "[array(")):
        is_array = bare.find("array([") in range(bare.rfind("dtype=object)"))
        return is_array or bool(bare.endswith("}]") and _MAPPINGS.search(bare))
    return "''" in bare and _TEXTS.fullmatch(bare) is not None


def check_no_numpy_text(text: str, place: str, otherwise: str = "") -> None:
    """Refuse a list that numpy printed.

    Args:
        text: Any text.
        place: Where it stands, for the message.
        otherwise: What else to do, for the message's end.

    Raises:
        RowError: It is such a list.
    """
    if is_numpy_text(text):
        raise RowError(
            f"{place}: got a list as numpy prints it, {text.strip()!r:.60}; expected the list itself: write the table "
            f"as JSON lines or Parquet, with to_json(..., lines=True) or to_parquet{otherwise}"
        )
