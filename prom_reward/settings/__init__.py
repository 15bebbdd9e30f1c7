"""The keys of YAML files for judges and runs, and the one line about the first wrong one."""
