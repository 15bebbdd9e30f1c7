"""`python -m prom_reward` is the `prom-reward` command."""

from prom_reward.cli.main import main

main()
