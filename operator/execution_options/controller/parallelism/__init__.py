"""Gives parallelism slots to pods that wait behind our scheduling gate: a small watcher beside kopf."""
