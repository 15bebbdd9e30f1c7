"""A judge on single criteria: beside people's verdicts, and what its use tells of a checklist."""
