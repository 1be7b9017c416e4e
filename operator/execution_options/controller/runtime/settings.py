"""How the controller is run."""

from __future__ import annotations

from msgspec import Struct

from execution_options.controller.runtime.lease import Timing
from execution_options.providers.outbound import Network


class Settings(Struct, frozen=True, kw_only=True):
    """Names, ports, paces; seconds and rates per second."""

    namespace: str
    """Of the operator, in which the lease is."""
    host: str = ""
    health_port: int | None = 8082
    """For probes and metrics; without one there are none but kopf's own."""
    lease: str = "execution-options-controller"
    timing: Timing = Timing(15.0)
    status_interval: float = 10.0
    """Between two writes of a status in which only numbers changed."""
    patch_rate: float = 200.0
    """Patches of executions and pods at most; fewer while the API server has too much to do."""
    event_rate: float = 5.0
    resync: float = 300.0
    """Between two lists of all options, and of all pods that may wait, in case an event was never told."""
    send_timeout: float = 20.0
    """For sending one notification to one recipient."""
    allowed_networks: tuple[Network, ...] = ()
    """That notifications may be sent to although they are not public."""
