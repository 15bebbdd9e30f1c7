"""Parts of the commands: options, the console, tables and summaries."""
