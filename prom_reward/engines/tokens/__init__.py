"""Token ids to verdicts and back."""
