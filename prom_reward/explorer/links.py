"""Links into the explorer: its state stands behind the `#`."""

from urllib.parse import urlencode

from prom_reward.pages.text import visible


def explorer_link(**state: str) -> str:
    """Return a link to a view, as `explorer_link(view="judgments", where="flag")`."""
    return f"#{urlencode(state)}"


def condition(column: str, value: str) -> str:
    """Return the filter that a column has a value; quotes of both kinds in it are cut around."""
    shown = visible(value)
    if '"' not in shown:
        return f'{column} == "{shown}"'
    if "'" not in shown:
        return f"{column} == '{shown}'"
    longest = max(shown.split('"'), key=len)
    return f'{column} ~ "{longest}"'
