"""Reads flytekit's own objects by their attributes, so that flytekit is not needed to do so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from execution_options.sdk.notifications import (
    Email,
    EmailNotification,
    Notification,
    PagerDuty,
    PagerDutyNotification,
    Slack,
    SlackNotification,
)
from execution_options.sdk.security import Identity, RawOutputDataConfig, SecurityContext

_OPTIONS = (
    "labels",
    "annotations",
    "raw_output_data_config",
    "security_context",
    "max_parallelism",
    "notifications",
    "disable_notifications",
    "overwrite_cache",
)


def read(options: Any) -> dict[str, Any]:
    """The arguments of ``Options``; see ``Options.from_flytekit``."""
    values = _attributes(options, "Options", _OPTIONS)
    prefix, notifications = values["raw_output_data_config"], values["notifications"]
    return {
        "labels": _values(values["labels"], "labels"),
        "annotations": _values(values["annotations"], "annotations"),
        "raw_output_data_config": _prefix(prefix),
        "security_context": _security_context(values["security_context"]),
        "max_parallelism": values["max_parallelism"],
        "notifications": None if notifications is None else [_notification(each) for each in notifications],
        "disable_notifications": values["disable_notifications"],
        "overwrite_cache": values["overwrite_cache"],
    }


def _values(labels: Any, name: str) -> dict[str, str] | None:
    if labels is None:
        return None
    # flytekit annotates Labels and Annotations, but dicts are common and its examples pass them.
    values = labels if isinstance(labels, Mapping) else _attributes(labels, name, ("values",))["values"]
    return dict(values)


def _prefix(config: Any) -> RawOutputDataConfig | None:
    if config is None:
        return None
    if not isinstance(config, str):
        name = "output_location_prefix"
        config = _attributes(config, "raw_output_data_config", (name,))[name]
    return RawOutputDataConfig(config) if config else None


def _security_context(context: Any) -> SecurityContext | None:
    if context is None:
        return None
    values = _attributes(context, "security_context", ("run_as", "secrets", "tokens"))
    return SecurityContext(_identity(values["run_as"]), values["secrets"], values["tokens"])


def _identity(identity: Any) -> Identity | None:
    if identity is None:
        return None
    names = ("iam_role", "k8s_service_account", "oauth2_client", "execution_identity")
    values = _attributes(identity, "run_as", names)
    # "" would clear an account here; flytekit leaves it out of what it sends.
    return Identity(**{name: value or None for name, value in values.items()})


def _notification(source: Any) -> Notification:
    values = _attributes(source, "notification", ("phases", "email", "pager_duty", "slack"))
    phases = values["phases"]
    recipients = {
        name: _attributes(to, name, ("recipients_email",))["recipients_email"]
        for name in ("email", "pager_duty", "slack")
        if (to := values[name]) is not None
    }
    match recipients:
        case {"email": to, **others} if not others:
            return Email(phases, to)
        case {"pager_duty": to, **others} if not others:
            return PagerDuty(phases, to)
        case {"slack": to, **others} if not others:
            return Slack(phases, to)
    return Notification(
        phases,
        email=EmailNotification(recipients["email"]) if "email" in recipients else None,
        pager_duty=PagerDutyNotification(recipients["pager_duty"]) if "pager_duty" in recipients else None,
        slack=SlackNotification(recipients["slack"]) if "slack" in recipients else None,
    )


def _attributes(source: Any, what: str, names: tuple[str, ...]) -> dict[str, Any]:
    """Read the named attributes of an object of flytekit's.

    Args:
        source: the object.
        what: its name in messages.
        names: the attributes that are known here.

    Returns:
        Each name with its value; None where the object lacks it.

    Raises:
        TypeError: the object has none of the attributes.
        ValueError: it has a value that would be lost, because its name is not among them.
    """
    if not any(hasattr(source, name) for name in names):
        raise TypeError(f"{what} is not flytekit's but {type(source).__module__}.{type(source).__name__}")
    for stored, value in vars(source).items():
        name = stored.lstrip("_")  # flytekit's models keep `values` in `_values`
        if value is not None and name not in names:
            raise ValueError(f"{what}.{name} of flytekit is not known here and would be lost: {value!r}")
    return {name: getattr(source, name, None) for name in names}
