"""Joins the explorer's ES modules into one script, so that a page is one file."""

import re
from importlib import resources
from posixpath import dirname, join, normpath

_FOLDER = "explorer/assets"
_IMPORT = re.compile(r'^import \{[^}]*\} from "([\w./-]+\.js)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:const|class) (\w+))", re.M)


def joined_script(name: str = "main.js") -> str:
    """Return a module of the explorer after all that it imports; each of those has a scope of its own."""
    parts: dict[str, str] = {}
    _join(name, parts)
    main = parts.pop(name)
    return "\n".join([*map(_scoped, parts.values()), main])


def _join(name: str, parts: dict[str, str]) -> None:
    if name in parts:
        return
    text = (resources.files("prom_reward") / _FOLDER / name).read_text(encoding="utf-8")
    for other in _IMPORT.findall(text):
        _join(normpath(join(dirname(name), other)), parts)
    parts[name] = _IMPORT.sub("", text)


def _scoped(text: str) -> str:
    names = ", ".join(_EXPORT.findall(text))
    return f"const {{ {names} }} = (() => {{\n{_EXPORT.sub('', text)}\nreturn {{ {names} }};\n}})();"
