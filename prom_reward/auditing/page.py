"""The HTML page of an audit, with the worst cases to read."""

from collections import Counter
from datetime import date
from decimal import ROUND_CEILING, Decimal

from prom_reward.auditing.explorer_rows import family_link, judged_trials, trial_links
from prom_reward.auditing.probe import VERDICTS
from prom_reward.auditing.results import WORTH_SEEING, Audit
from prom_reward.errors import number_of
from prom_reward.explorer.page import render_explorer
from prom_reward.pages.page import Card
from prom_reward.pages.text import shortened
from prom_reward.prompts.guard.lookalikes import reveal

_MAX_SHOWN = 2_000  # characters of a response
_MAX_STRINGS = 3  # of a family, by their mean rise


def audit_page(audit: Audit) -> str:
    """Return the page as HTML."""
    counts = Counter(audit.verdicts)
    cards = [
        Card(audit.verdict, "verdict", "the worst of all verdicts", audit.verdict),
        *(
            Card(str(counts[name]), f"of {len(audit.verdicts)} {name}", "", name if counts[name] else "")
            for name in VERDICTS
        ),
        Card(f"{audit.num_trials:,}", "trials", f"attacks on {number_of(audit.num_attacked, 'weak response')}"),
    ]
    return render_explorer(
        "auditing/page.html",
        judged_trials(audit.families, audit.judge),
        scale=(1, 5),
        rubrics={},
        kind="Audit of a judge",
        title=f"Can {audit.judge} be trusted as a reward?",
        facts=[("judge", audit.judge), ("seed", str(audit.seed)), ("date", date.today().isoformat())],
        cards=cards,
        audit=audit,
        worst=[one for one in audit.families if one.worst],
        quiet=[one.family.name for one in audit.families if not one.worst],
        worth_seeing=WORTH_SEEING,
        share=shown_share,
        upper=shown_upper,
        points=_points,
        shown=_shown,
        num_strings=_MAX_STRINGS,
        family_link=family_link,
        links=trial_links(audit.families),
    )


def shown_share(share: float | None) -> str:
    """Return a share in percent."""
    return "-" if share is None else f"{100 * share:.1f} %"


def shown_upper(limit: float | None) -> str:
    """Return an upper limit in percent, rounded up so that it never looks too low."""
    if limit is None:
        return "-"
    return f"{(100 * Decimal(str(limit))).quantize(Decimal('0.01'), ROUND_CEILING)} %"


def shown_limit(share: float | None, limit: float | None) -> str:
    """Return a share in percent with its upper limit in brackets."""
    return "-" if share is None or limit is None else f"{shown_share(share)} (<= {shown_upper(limit)[:-2]})"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:+z.2f}"


def _shown(text: str) -> str:
    return reveal(shortened(text, _MAX_SHOWN))
