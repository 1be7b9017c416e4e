"""Applies edits of options to executions and their pods, and repairs executions that the webhook missed."""

from execution_options.controller.executions.pods import PodReconciler
from execution_options.controller.executions.reconciler import ExecutionReconciler
from execution_options.controller.executions.slotlabels import SlotLabels
from execution_options.controller.executions.unfollowed import Unenforced, Unfollowed

__all__ = [
    "ExecutionReconciler",
    "PodReconciler",
    "SlotLabels",
    "Unenforced",
    "Unfollowed",
]
