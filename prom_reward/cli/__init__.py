"""The `prom-reward` command: one file a sub-command; `main.py` turns errors into a line and an exit status."""
