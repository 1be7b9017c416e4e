"""The merge: the value of each field that an execution gets, and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import msgspec.inspect
from msgspec import UNSET, Struct, field, structs

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.notification import Notification, Phase
from execution_options.api.security_context import RunAs
from execution_options.options.levels import Layer, Level, Source, Sourced

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Overridden(Struct, frozen=True):
    """A value that the execution does not get.

    Attributes:
        field: path of its field.
        value: the value.
        source: its source.
        by: source of the value that won.
    """

    field: str
    value: Any
    source: Source
    by: Source


class Effective(Struct, frozen=True, kw_only=True):
    """The options that an execution gets. A value is absent if no options declare it."""

    labels: dict[str, Sourced[str]] = field(default_factory=dict)
    annotations: dict[str, Sourced[str]] = field(default_factory=dict)
    run_as: Sourced[RunAs] | None = None
    output_location_prefix: Sourced[str] | None = None
    max_parallelism: Sourced[int] | None = None
    overwrite_cache: Sourced[bool] | None = None
    envs: dict[str, Sourced[str]] = field(default_factory=dict)
    notifications: tuple[Sourced[Notification], ...] = ()
    disable_notifications: Sourced[bool] | None = None
    notification_guarantee: Sourced[str] | None = None
    overridden: tuple[Overridden, ...] = ()

    def of(self, option: str) -> Sourced[Any] | None:
        """The value of a scalar option by its name in the model of the spec, or the first value of ``envs``.

        Raises:
            KeyError: the option is neither a scalar nor ``envs``.
        """
        if option == "envs":
            return next(iter(self.envs.values()), None)
        value: Sourced[Any] | None = getattr(self, SCALARS_OF[option][0].name)
        return value

    @property
    def is_held(self) -> bool:
        """Whether an execution must not be deleted before its notifications are recorded."""
        return self.notification_guarantee is not None and self.notification_guarantee.value == "Held"


def merge(layers: Iterable[Layer]) -> Effective:
    """Merge layers, lowest first.

    Maps and environment variables merge by key. A scalar of a later layer replaces earlier ones; an explicit 0, false
    or "" is a value like any other. ``runAs`` is replaced as a whole, so that no identity is mixed from two.
    Notifications add up. ``disableNotifications: true`` applies to its whole level, and only a higher level can set it
    to false.
    """
    ordered = tuple(layers)
    scalars: dict[str, Any] = {}
    maps: dict[str, Any] = {"labels": {}, "annotations": {}, "envs": {}}
    for layer in ordered:
        source = layer.source
        for name, value in _scalars(layer.spec):
            if not (name == "disable_notifications" and _disabled_at(source.level, scalars.get(name))):
                scalars[name] = Sourced(value, source)
        for name, entries in _maps(layer.spec):
            maps[name] |= {key: Sourced(value, source) for key, value in entries.items()}
    return Effective(
        **maps,
        **scalars,
        notifications=tuple(_distinct_notifications(ordered)),
        overridden=tuple(_overridden(ordered, scalars, maps)),
    )


def _disabled_at(level: Level, disabled: Sourced[bool] | None) -> bool:
    return disabled is not None and disabled.value and disabled.source.level == level


def _overridden(layers: tuple[Layer, ...], scalars: dict[str, Any], maps: dict[str, Any]) -> Iterator[Overridden]:
    """All values of layers that the execution does not get, lowest first."""
    for layer in layers:
        for name, value in _scalars(layer.spec):
            winner = scalars[name]
            if value != winner.value:
                yield Overridden(_SCALARS[name].path, value, layer.source, winner.source)
        for name, entries in _maps(layer.spec):
            for key, value in entries.items():
                winner = maps[name][key]
                if value != winner.value:
                    yield Overridden(f"{name}[{key}]", value, layer.source, winner.source)


class Scalar(NamedTuple):
    """An option that has one value.

    Attributes:
        name: name of its attribute in :class:`Effective`.
        attributes: attributes that lead to it in the model of the spec.
        path: path of its field in a manifest.
    """

    name: str
    attributes: tuple[str, ...]
    path: str


def _scalars_of(option: msgspec.inspect.Field) -> list[Scalar]:
    """The scalars of one field of the spec: the field itself, or the scalars in it."""
    names = {one.name for one in structs.fields(Effective) if one.default is None}
    if option.name in names:
        return [Scalar(option.name, (option.name,), option.encode_name)]
    kind = option.type.type if isinstance(option.type, msgspec.inspect.Metadata) else option.type
    return [
        Scalar(inner.name, (option.name, inner.name), f"{option.encode_name}.{inner.encode_name}")
        for inner in (kind.fields if isinstance(kind, msgspec.inspect.StructType) else ())
        if inner.name in names
    ]


SCALARS_OF: Final = {
    option.name: _scalars_of(option)
    for option in cast("msgspec.inspect.StructType", msgspec.inspect.type_info(ExecutionOptionsSpec)).fields
}
"""Scalars by field of the spec, in its order. A field is a scalar if :class:`Effective` has one of the same name."""
_SCALARS: Final = {scalar.name: scalar for scalars in SCALARS_OF.values() for scalar in scalars}


def _scalars(spec: ExecutionOptionsSpec) -> Iterator[tuple[str, Any]]:
    for scalar in _SCALARS.values():
        value: Any = spec
        for attribute in scalar.attributes:
            value = UNSET if value is UNSET else getattr(value, attribute)
        if value is not UNSET and value != RunAs():
            yield scalar.name, value


def _maps(spec: ExecutionOptionsSpec) -> Iterator[tuple[str, dict[str, str]]]:
    if spec.labels is not UNSET:
        yield "labels", spec.labels
    if spec.annotations is not UNSET:
        yield "annotations", spec.annotations
    if spec.envs is not UNSET:
        yield "envs", {env.name: env.value for env in spec.envs}


def _distinct_notifications(layers: tuple[Layer, ...]) -> Iterator[Sourced[Notification]]:
    """Notifications of all layers. No recipient is notified of a phase twice by the same channel and template."""
    notified: set[tuple[Notification, Phase, str]] = set()
    for layer in layers:
        if layer.spec.notifications is UNSET:
            continue
        for notification in layer.spec.notifications:
            destination = structs.replace(notification, phases=(), **_with_recipients(notification, ()))
            # Recipients with the same remaining phases stay together in one notification.
            groups: dict[tuple[Phase, ...], list[str]] = {}
            for recipient in recipients(notification):
                phases = tuple(
                    phase
                    for phase in dict.fromkeys(notification.phases)
                    if (destination, phase, recipient) not in notified
                )
                groups.setdefault(phases, []).append(recipient)
                notified.update((destination, phase, recipient) for phase in phases)
            for phases, who in groups.items():
                if phases:
                    changed = _with_recipients(notification, tuple(who))
                    yield Sourced(structs.replace(notification, phases=phases, **changed), layer.source)


def recipients(notification: Notification) -> tuple[str, ...]:
    """The recipients of a notification, each once. A webhook has one recipient with an empty name."""
    for transport in (notification.email, notification.slack, notification.pager_duty):
        if transport is not UNSET:
            return tuple(dict.fromkeys(transport.recipients))
    return ("",)


def _with_recipients(notification: Notification, who: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: structs.replace(transport, recipients=who)
        for name in ("email", "slack", "pager_duty")
        if (transport := getattr(notification, name)) is not UNSET
    }
