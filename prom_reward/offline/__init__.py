"""Data sets become labels, figures and pages."""
