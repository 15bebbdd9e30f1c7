"""A judge's scores beside people's labels."""
