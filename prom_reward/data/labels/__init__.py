"""What people or a judge said of a row: scores, preferences, verdicts on criteria, judgments."""
