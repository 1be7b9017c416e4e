"""What any controller needs: a Lease, bounded writes, queues and workers, Events and metrics."""

from execution_options.controller.runtime.conflicts import ATTEMPTS, ConflictError, Shell, UndoneError
from execution_options.controller.runtime.events import Recorder
from execution_options.controller.runtime.lanes import Lanes, Place
from execution_options.controller.runtime.lease import Elector, LeaseLostError, Timing
from execution_options.controller.runtime.metrics import Metrics, OpenDeliveries
from execution_options.controller.runtime.queue import Queue, backoff
from execution_options.controller.runtime.ratelimit import Pace, SharedBucket, TokenBucket
from execution_options.controller.runtime.settings import Settings
from execution_options.controller.runtime.statuswriter import StatusWrite, StatusWriter
from execution_options.controller.runtime.workers import work
from execution_options.controller.runtime.writer import EFFECT_WITHIN, Writer
from execution_options.status.events import Announcement, Regarding

__all__ = [
    "ATTEMPTS",
    "EFFECT_WITHIN",
    "Announcement",
    "ConflictError",
    "Elector",
    "Lanes",
    "LeaseLostError",
    "Metrics",
    "OpenDeliveries",
    "Pace",
    "Place",
    "Queue",
    "Recorder",
    "Regarding",
    "Settings",
    "SharedBucket",
    "Shell",
    "StatusWrite",
    "StatusWriter",
    "Timing",
    "TokenBucket",
    "UndoneError",
    "Writer",
    "backoff",
    "work",
]
