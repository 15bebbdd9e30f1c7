"""Rewards from comparisons inside of a group."""
