"""Prompts become generations. An engine never sees a rubric."""
