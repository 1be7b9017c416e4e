"""Settings of the controller."""

from __future__ import annotations

from msgspec import Struct

from execution_options.controller.runtime.lease import Timing
from execution_options.providers.outbound import Network


class Settings(Struct, frozen=True, kw_only=True):
    """Names, ports, intervals in seconds and rates per second."""

    namespace: str
    """Namespace of the operator and of its Lease."""
    cluster: str = ""
    """Name of the cluster in notifications; empty for none."""
    host: str = ""
    health_port: int | None = 8082
    """Port of probes and metrics; ``None`` leaves only kopf's own probe."""
    lease: str = "execution-options-controller"
    timing: Timing = Timing(15.0)
    status_interval: float = 10.0
    """Seconds between two writes of a status in which only numbers changed."""
    patch_rate: float = 200.0
    """Most patches of executions and pods per second; fewer while the API server is overloaded."""
    event_rate: float = 5.0
    """Most Events per second."""
    resync: float = 300.0
    """Seconds between two lists of all options, and of all pods that may wait, in case a watch missed something."""
    send_timeout: float = 20.0
    """Seconds for sending one notification to one recipient."""
    allowed_networks: tuple[Network, ...] = ()
    """Networks that are not public and that notifications may be sent to."""
