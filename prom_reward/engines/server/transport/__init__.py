"""Requests to a server: connections, retries, limits, and what it says in place of an answer."""
