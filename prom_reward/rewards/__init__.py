"""Judgments become rewards, in the shapes that trainers take."""
