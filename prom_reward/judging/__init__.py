"""From generations to judgments."""
