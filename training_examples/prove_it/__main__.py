"""Runs `python -m training_examples.prove_it`."""

from prom_reward import PromRewardError
from training_examples.prove_it.prove_it import main

try:
    main()
except PromRewardError as error:
    raise SystemExit(f"error: {error}") from None
