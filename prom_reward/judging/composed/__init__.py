"""Judges that are made of judges."""
