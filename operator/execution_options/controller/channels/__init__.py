"""Checks whether notification channels can send, and sends by them."""

from execution_options.controller.channels.reconciler import ChannelReconciler
from execution_options.controller.channels.secrets import Materials
from execution_options.controller.channels.sender import ChannelPost

__all__ = [
    "ChannelPost",
    "ChannelReconciler",
    "Materials",
]
