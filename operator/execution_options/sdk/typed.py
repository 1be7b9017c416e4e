"""What may be passed to ``Options``: a wrong type is refused where it is written, not where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from execution_options.sdk.metadata import Annotations, Labels
from execution_options.sdk.notifications import Notification
from execution_options.sdk.security import Identity, RawOutputDataConfig, SecurityContext

T = TypeVar("T")


def strings(name: str, values: Any) -> dict[str, str] | None:
    """A map of strings, as a dict of its own.

    Args:
        name: What it is called in messages.
        values: A mapping, ``Labels``, ``Annotations``, or None.

    Raises:
        TypeError: It is none of them, or a key or a value is no string.
    """
    if values is None:
        return None
    if isinstance(values, Labels | Annotations):
        values = values.values
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} must be a dict, not {_kind(values)}")
    for key, value in values.items():
        if not isinstance(key, str):
            raise TypeError(f"keys of {name} must be str, not {_kind(key)}: {key!r}")
        if not isinstance(value, str):
            raise TypeError(f'{name}["{key}"] must be a str, not {_kind(value)}: {value!r}')
    return dict(values)


def expected(name: str, value: T, kind: type, beyond: str = "") -> T:
    """A value of the expected type, or None.

    Args:
        name: What it is called in messages.
        value: The value.
        kind: Its type. A bool is no int.
        beyond: What else would be right, for the message.

    Raises:
        TypeError: It is of another type.
    """
    if value is None or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    article = "an" if kind.__name__[0] in "aeiouAEIOU" else "a"
    # Only what cannot hold a secret is repeated.
    shown = f": {value!r}" if isinstance(value, str | int | float) else ""
    raise TypeError(f"{name} must be {article} {kind.__name__}{beyond}, not {_kind(value)}{shown}")


def security_context(context: Any) -> SecurityContext | None:
    """A security context, whose parts have their types, too.

    Raises:
        TypeError: It, or a part of it, is of another type.
    """
    found: SecurityContext | None = expected("security_context", context, SecurityContext)
    if found is not None and found.run_as is not None:
        expected("security_context.run_as", found.run_as, Identity)
        for field in ("iam_role", "k8s_service_account", "execution_identity", "service_account_policy"):
            expected(f"security_context.run_as.{field}", getattr(found.run_as, field), str)
    return found


def storage(config: Any) -> RawOutputDataConfig | None:
    """A storage prefix, or the object that holds it.

    Raises:
        TypeError: It is of another type.
    """
    if isinstance(config, str):
        return RawOutputDataConfig(config)
    found: RawOutputDataConfig | None = expected("raw_output_data_config", config, RawOutputDataConfig, " or a str")
    if found is not None:
        expected("raw_output_data_config.output_location_prefix", found.output_location_prefix, str)
    return found


def notifications(values: Any) -> list[Notification] | None:
    """Notifications, as a list of its own.

    Raises:
        TypeError: It is no iterable of notifications.
    """
    if values is None:
        return None
    if isinstance(values, Notification) or not isinstance(values, Iterable):
        raise TypeError(f"notifications must be a list of notifications, not {_kind(values)}")
    listed = list(values)
    for index, value in enumerate(listed):
        if not isinstance(value, Notification):
            raise TypeError(f"notifications[{index}] must be a Notification such as Email, not {_kind(value)}")
    return listed


def _kind(value: Any) -> str:
    module, name = type(value).__module__, type(value).__name__
    if module == "builtins":
        return name
    # Theirs often have the same names as ours.
    hint = " (Options.from_flytekit converts flytekit's own objects)" if module.startswith("flytekit.") else ""
    return f"{module}.{name}{hint}"
