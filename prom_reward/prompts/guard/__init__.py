"""Keeps candidate text from posing as judge text, and flags attempts."""
