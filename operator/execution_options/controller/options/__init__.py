"""Maintains the service accounts and the status of options."""

from execution_options.controller.options.reconciler import OptionsReconciler

__all__ = [
    "OptionsReconciler",
]
