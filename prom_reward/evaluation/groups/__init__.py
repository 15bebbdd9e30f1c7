"""Answers to one prompt put in order: by grades, comparisons and cascades."""
