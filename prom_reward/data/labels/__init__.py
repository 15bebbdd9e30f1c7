"""Labels of a row by people or a judge: scores, preferences, verdicts on criteria, judgments."""
