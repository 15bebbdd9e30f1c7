"""Checks for rows that may be read wrongly: errors of one line, and warnings."""
