"""Score scales and rubrics, and every written form of them."""
