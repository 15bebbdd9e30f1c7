"""What is probably wrong with a rubric or checklist that can be read."""
