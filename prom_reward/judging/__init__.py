"""Generations become judgments."""
