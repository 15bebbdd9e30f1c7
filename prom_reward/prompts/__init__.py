"""Requests become prompt texts: task text, guard, conversation."""
