"""A data set becomes a labeled data set: sharded, resumable, on one process or many."""
