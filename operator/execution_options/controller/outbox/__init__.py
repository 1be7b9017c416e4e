"""Records the ends of executions as deliveries, sends these, and removes old ones."""

from execution_options.controller.outbox.assembly import Outbox
from execution_options.controller.outbox.launchplans import DanglingReferences
from execution_options.controller.outbox.outcomes import Outcomes
from execution_options.controller.outbox.refusals import Refusals

__all__ = [
    "DanglingReferences",
    "Outbox",
    "Outcomes",
    "Refusals",
]
