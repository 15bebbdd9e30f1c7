"""Files and rows become grading and comparison requests, with people's labels if they have any."""
