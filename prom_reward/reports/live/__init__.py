"""The report of a training that runs: its log is followed and sent to the page."""
