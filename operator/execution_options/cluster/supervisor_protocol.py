"""What passes over the lifeline between a supervisor and whoever started it."""

DETACH = b"d"
"""Lets the control plane outlive whoever started it."""
