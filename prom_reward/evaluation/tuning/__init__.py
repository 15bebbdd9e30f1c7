"""Tries cheap changes to a judge, and keeps what labeled rows confirm."""
