"""The attributes of ``Options``: what its conversions read, without the class that imports them."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003
from dataclasses import dataclass, field
from typing import Any, Literal

# Needed at run time by whoever resolves the annotations of this dataclass.
from execution_options.sdk.notifications import Notification  # noqa: TC001
from execution_options.sdk.security import RawOutputDataConfig, SecurityContext  # noqa: TC001


@dataclass(init=False)
class OptionsFields:
    """Attributes of ``Options``; its docstring describes them."""

    labels: dict[str, str] | None
    annotations: dict[str, str] | None
    raw_output_data_config: RawOutputDataConfig | None
    security_context: SecurityContext | None
    max_parallelism: int | None
    notifications: list[Notification] | None
    disable_notifications: bool | None
    overwrite_cache: bool | None
    envs: dict[str, str] | None
    mode: Literal["Default", "Enforce"] | None
    priority: int | None
    update_policy: Literal["Live", "NextExecution"] | None
    notification_guarantee: Literal["Observed", "Held"] | None
    selector: Mapping[str, Any] | None = field(compare=False)
    namespace_selector: Mapping[str, Any] | None = field(compare=False)
