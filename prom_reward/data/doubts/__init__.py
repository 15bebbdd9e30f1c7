"""What may be read wrongly: refused in one line, or told in a warning."""
