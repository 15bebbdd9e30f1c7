"""One self-contained HTML page of an audit, with the worst cases to read.

It does not know judges. Every value is escaped by jinja2, the page runs no script and loads nothing.
"""

from decimal import ROUND_CEILING, Decimal
from importlib import resources

from prom_reward.auditing.results import Audit
from prom_reward.prompts.guard.lookalikes import reveal

_MAX_SHOWN = 2000  # characters of a response


def audit_page(audit: Audit) -> str:
    """Return the page as HTML."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.globals.update(share=shown_share, limited=shown_limit, points=_points, shown=_shown)
    text = resources.files("prom_reward").joinpath("auditing/page.html").read_text(encoding="utf-8")
    return environment.from_string(text).render(audit=audit)


def shown_share(share: float | None) -> str:
    """Return a share in percent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def shown_limit(share: float | None, limit: float | None) -> str:
    """Return a share in percent with its upper limit in brackets, rounded up: it never looks lower than it is."""
    if share is None or limit is None:
        return "-"
    upper = (100 * Decimal(str(limit))).quantize(Decimal("0.01"), ROUND_CEILING)
    return f"{100 * share:.1f} % (<= {upper})"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"


def _shown(text: str) -> str:
    return reveal(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]} [...]")
