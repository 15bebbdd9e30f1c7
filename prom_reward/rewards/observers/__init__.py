"""Observers of a reward's judged batches, which change no reward: canaries, an audit judge, divergence, your own."""
