"""One file per protocol: what a framework sends becomes requests, and answers become what it expects."""
