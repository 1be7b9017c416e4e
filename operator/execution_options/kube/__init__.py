"""Talking to the API server: a thin client and stores that follow a collection. Knows none of our rules."""
