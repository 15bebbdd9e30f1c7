"""Preference pairs: the two answers of a row, the verdicts on them, and lists of answers on both sides."""
