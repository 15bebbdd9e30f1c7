"""Checklists: signed criteria, how they make one score, and every written form of them."""
