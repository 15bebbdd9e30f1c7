"""From requests to prompts and their samples."""
