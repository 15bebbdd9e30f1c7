"""One file a framework: its own hook for rewards, answered by a judge. No framework is imported before it is used."""
