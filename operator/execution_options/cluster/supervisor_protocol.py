"""Bytes on the lifeline between a supervisor and the process that started it."""

DETACH = b"d"
"""The control plane outlives the process that started it."""
