"""Renders a page's template into one self-contained HTML text that needs no network.

jinja2 escapes every value. `visible` shows what hides or reorders text, so a page can always be written as UTF-8. The
content security policy allows nothing from outside, and no script but the page's own.
"""

import base64
import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from prom_reward.errors import number_of
from prom_reward.pages.svg import draw
from prom_reward.pages.text import visible

if TYPE_CHECKING:
    import jinja2


@dataclass(frozen=True, slots=True)
class Card:
    """A large figure at the top of a page."""

    value: str
    """The figure."""
    name: str
    """The counted or measured quantity."""
    remark: str = ""
    """A detail."""
    mood: str = ""
    """"pass", "warn" or "fail" gives it a color."""


def render(
    template: str, *, script: str = "", styles: Sequence[str] = (), connects: bool = False, **values: Any
) -> str:
    """Return a page as HTML.

    Args:
        template: A template of this package that extends `pages/assets/frame.html`, as "auditing/page.html".
        script: The page's script.
        styles: Files of this package with styles after those of all pages.
        connects: Whether the script may ask the server that the page came from.
        values: `kind`, `title`, `facts` (pairs of name and value) and `cards` of the frame, and the template's own.
    """
    from markupsafe import Markup

    page = _environment().get_template(template)
    return page.render(
        style=Markup("".join(map(_asset, ["pages/assets/page.css", *styles]))),  # noqa: S704  # the package's own files
        script=Markup(script),  # noqa: S704  # the same
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() if script else "",
        connects=connects,
        **values,
    )


@functools.cache  # it keeps the compiled templates
def _environment() -> "jinja2.Environment":
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("prom_reward", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.globals |= {"draw": lambda figure: Markup(draw(figure.plot, label=f"{figure.title}. {figure.note}"))}  # noqa: S704  # it escapes
    environment.globals |= {"number_of": number_of}
    return environment


def embedded(values: Sequence[Any] | dict[str, Any]) -> Any:
    """Return JSON that can stand inside a script element, whatever text is in it; hidden characters stay."""
    from markupsafe import Markup

    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"))
    escaped = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(escaped)  # noqa: S704  # no character that could end the element is left


def _shown(value: Any) -> Any:
    return visible(value) if type(value) is str else value  # Markup is a str of another type


def _asset(path: str) -> str:
    return resources.files("prom_reward").joinpath(path).read_text(encoding="utf-8")
