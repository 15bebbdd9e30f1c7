"""What the commands are made of: options, the console, tables and summaries."""
