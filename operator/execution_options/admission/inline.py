"""Limits of inline options. ``ExecutionOptions`` are checked for the same when they are applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from execution_options.admission.refusal import RefusedError
from execution_options.api.names import (
    ALLOWED_ACCOUNTS_ANNOTATION,
    ALLOWED_PREFIXES_ANNOTATION,
    INLINE_ANNOTATION,
)
from execution_options.options.levels import ANNOTATION, Level, Source
from execution_options.options.selection import inline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.api.model import ExecutionOptionsSpec
    from execution_options.notifications.route import Channels
    from execution_options.options.selection import Execution


def check_limits(execution: Execution) -> None:
    """Hold inline options to what annotations of the namespace allow.

    The policy ``execution-options-authors`` does the same for ``ExecutionOptions``.

    Raises:
        RefusedError: a service account or a storage prefix is not allowed.
    """
    for level, spec in inline(execution):
        for problem in _beyond(spec, execution.namespace, execution.namespace_annotations):
            raise RefusedError("NotAllowed", f"{_source(level)}: {problem}")


def names_channels(execution: Execution) -> bool:
    """Whether inline options name channels, so that :func:`check_channels` has something to check."""
    return any(True for _ in _named(execution))


def check_channels(execution: Execution, channels: Channels) -> None:
    """Refuse inline notifications by channels that the namespace cannot use.

    Raises:
        RefusedError: there is no such channel, or none that is offered to the namespace.
    """
    for level, path, name in _named(execution):
        source = _source(level)
        if channels.named(source, name) is None:
            usable = ", ".join(sorted({channel.key.name for channel in channels.in_reach(source)})) or "none"
            raise RefusedError(
                "ChannelMissing",
                f"{source}: {path}: namespace {execution.namespace} can use no NotificationChannel {name!r}; "
                f"it can use {usable}",
            )


def _source(level: Level) -> Source:
    return Source(level, ANNOTATION, INLINE_ANNOTATION)


def _named(execution: Execution) -> Iterator[tuple[Level, str, str]]:
    """Channels that inline options name: the level of the options, the path in them, and the name."""
    for level, spec in inline(execution):
        for number, one in enumerate(() if spec.notifications is UNSET else spec.notifications):
            if one.channel_ref is not UNSET:
                yield level, f"notifications[{number}].channelRef.name", one.channel_ref.name


def _beyond(spec: ExecutionOptionsSpec, namespace: str, limits: Mapping[str, str]) -> Iterator[str]:
    data, context = spec.raw_output_data_config, spec.security_context
    allowed = _listed(limits, ALLOWED_PREFIXES_ANNOTATION)
    if data is not UNSET and allowed is not None and not _is_below(data.output_location_prefix, allowed):
        yield (
            f"outputLocationPrefix {data.output_location_prefix} is not below what namespace {namespace} allows: "
            f"{', '.join(allowed)}"
        )
    accounts = _listed(limits, ALLOWED_ACCOUNTS_ANNOTATION)
    run_as = UNSET if context is UNSET else context.run_as
    account = UNSET if run_as is UNSET else run_as.k8s_service_account
    # "" clears an account, so that the namespace's default is used.
    if account is not UNSET and accounts is not None and (account or "default") not in accounts:
        yield (
            f"k8sServiceAccount {account or 'default'} is not one that namespace {namespace} allows: "
            f"{', '.join(accounts)}"
        )


def _listed(limits: Mapping[str, str], annotation: str) -> list[str] | None:
    """The entries of an annotation; ``None`` where there is none, so that nothing is limited."""
    if annotation not in limits:
        return None
    return [entry for part in limits[annotation].split(",") if (entry := part.strip())]


def _is_below(prefix: str, allowed: list[str]) -> bool:
    if ".." in prefix.split("/") or "%" in prefix:
        return False
    return any(prefix == one or prefix.startswith(one if one.endswith("/") else f"{one}/") for one in allowed)
