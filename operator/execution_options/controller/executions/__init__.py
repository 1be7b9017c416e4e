"""Brings executions and their pods to what their options say, those that the webhook missed included."""

from execution_options.controller.executions.notes import unreadable_note
from execution_options.controller.executions.pods import PodReconciler
from execution_options.controller.executions.reconciler import ExecutionReconciler
from execution_options.controller.executions.unfollowed import Unfollowed

__all__ = [
    "ExecutionReconciler",
    "PodReconciler",
    "Unfollowed",
    "unreadable_note",
]
