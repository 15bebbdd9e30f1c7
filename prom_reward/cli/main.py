"""Runs the command line, and turns an error into one line and an exit status.

0: done, 1: the work failed, 2: bad input, 130: interrupted.
"""

import sys
from io import TextIOWrapper

from prom_reward.errors import InputError, PromRewardError


def main() -> None:
    """Run the command line."""
    from prom_reward.cli.app import app
    from prom_reward.cli.parts.console import stderr

    if isinstance(sys.stdout, TextIOWrapper):  # what it cannot write, as half a surrogate pair, ends no work
        sys.stdout.reconfigure(errors="replace")
    is_debug = "--debug" in sys.argv[1:]
    try:
        app()
    except PromRewardError as error:
        if is_debug:
            raise
        stderr.print(f"error: {error}", style="bold red", highlight=False, soft_wrap=True)
        raise SystemExit(2 if isinstance(error, InputError) else 1) from None
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:  # which typer makes of Ctrl-C
            raise
        stderr.print("interrupted")
        raise SystemExit(130) from None
    except Exception as error:
        if is_debug:
            raise
        line = f"{type(error).__name__}: {error}".partition("\n")[0]
        stderr.print(f"error: {line} (run `prom-reward --debug ...` to see where)", soft_wrap=True)
        raise SystemExit(1) from None
