"""Labels and training logs become one HTML page."""
