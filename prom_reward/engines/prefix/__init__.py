"""Computes what prompts share at their beginning once."""
