"""One judge behind HTTP for every RL framework; single requests are put together again."""
