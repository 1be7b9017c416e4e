"""Every kind of this API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from execution_options.api.channel import CHANNEL
from execution_options.api.delivery import DELIVERY
from execution_options.api.engine_kind import ENGINE
from execution_options.api.options_kinds import CLUSTER_OPTIONS, OPTIONS

if TYPE_CHECKING:
    from execution_options.api.kind import Kind

KINDS: Final[dict[str, Kind]] = {kind.kind: kind for kind in (OPTIONS, CLUSTER_OPTIONS, CHANNEL, DELIVERY, ENGINE)}
"""Name → kind, in the order in which they are applied."""
