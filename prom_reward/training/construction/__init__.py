"""Labeled training data whose truth is known by construction."""
