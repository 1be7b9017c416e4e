"""The services by which notifications are sent."""

from __future__ import annotations

from typing import Final

SERVICES: Final = (
    *("email", "slack", "pagerDuty", "webhook", "teams", "googleChat", "discord"),
    *("mattermost", "rocketChat", "opsgenie", "http"),
)
"""Their names in a channel, and in a notification."""
