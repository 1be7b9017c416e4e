"""Notifications, as far as they need no network: who is told by which channel, in which words, under which names."""
