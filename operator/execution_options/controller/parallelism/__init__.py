"""Releases pods that wait for a slot, each by one PATCH."""

from execution_options.controller.parallelism.assembly import Parallelism

__all__ = [
    "Parallelism",
]
