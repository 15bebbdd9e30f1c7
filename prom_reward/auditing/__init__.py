"""Tries whether a judge can be trusted as a reward."""
