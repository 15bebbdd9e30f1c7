"""Labels a data set with a judge: in shards that survive a stop, in one process or many. README.md has the files."""
