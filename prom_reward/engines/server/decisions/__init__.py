"""Endpoints that answer typed questions with probabilities, as engines."""
