"""Probable errors of a rubric or checklist that can be read."""
