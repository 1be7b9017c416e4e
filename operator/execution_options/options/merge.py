"""The merge: which value of each field an execution gets, and from which object."""

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
    """A value that the execution does not get: of which field, who said it, and who won in the end."""

    field: str
    value: Any
    source: Source
    by: Source


class Effective(Struct, frozen=True, kw_only=True):
    """What an execution gets; an absent value was said by nobody."""

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
        """The value of a scalar option, by its name in the model of the spec; of ``envs`` the first one.

        Raises:
            KeyError: it is neither.
        """
        if option == "envs":
            return next(iter(self.envs.values()), None)
        value: Sourced[Any] | None = getattr(self, SCALARS_OF[option][0].name)
        return value

    @property
    def is_held(self) -> bool:
        """Whether an execution must not go before its notifications are recorded."""
        return self.notification_guarantee is not None and self.notification_guarantee.value == "Held"


def merge(layers: Iterable[Layer]) -> Effective:
    """Merge layers, lowest first.

    Maps and environment variables merge by key, a scalar of a later layer replaces (an explicit 0,
    false or "" is a value like any other), ``runAs`` replaces as a whole so that no identity is mixed
    from two, notifications add up. ``disableNotifications: true`` holds for its whole level and only a
    higher level can say false.
    """
    ordered = tuple(layers)
    scalars: dict[str, Any] = {}
    maps: dict[str, Any] = {"labels": {}, "annotations": {}, "envs": {}}
    for layer in ordered:
        source = layer.source
        for name, value in _scalars(layer.spec):
            if not (name == "disable_notifications" and _silenced_at(source.level, scalars.get(name))):
                scalars[name] = Sourced(value, source)
        for name, entries in _maps(layer.spec):
            maps[name] |= {key: Sourced(value, source) for key, value in entries.items()}
    return Effective(
        **maps,
        **scalars,
        notifications=tuple(_distinct_notifications(ordered)),
        overridden=tuple(_overridden(ordered, scalars, maps)),
    )


def _silenced_at(level: Level, disabled: Sourced[bool] | None) -> bool:
    return disabled is not None and disabled.value and disabled.source.level == level


def _overridden(layers: tuple[Layer, ...], scalars: dict[str, Any], maps: dict[str, Any]) -> Iterator[Overridden]:
    """Everything that a layer says and that is not what the execution gets, lowest first."""
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
        name: of the attribute of :class:`Effective`.
        attributes: that lead to it in the model of the spec.
        path: of the field in a manifest.
    """

    name: str
    attributes: tuple[str, ...]
    path: str


def _scalars_of(option: msgspec.inspect.Field) -> list[Scalar]:
    """The scalars of one field of the spec: the field itself, or those in it."""
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
"""Scalars by the field of the spec, in its order. A field that :class:`Effective` has by the same name is one."""
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
    """Notifications of all layers, without any recipient being told of one phase twice in the same way."""
    told: set[tuple[Notification, Phase, str]] = set()
    for layer in layers:
        if layer.spec.notifications is UNSET:
            continue
        for notification in layer.spec.notifications:
            way = structs.replace(notification, phases=(), **_with_recipients(notification, ()))
            # Recipients that are left with the same phases stay together in one notification.
            groups: dict[tuple[Phase, ...], list[str]] = {}
            for recipient in recipients(notification):
                phases = tuple(p for p in dict.fromkeys(notification.phases) if (way, p, recipient) not in told)
                groups.setdefault(phases, []).append(recipient)
                told.update((way, phase, recipient) for phase in phases)
            for phases, who in groups.items():
                if phases:
                    changed = _with_recipients(notification, tuple(who))
                    yield Sourced(structs.replace(notification, phases=phases, **changed), layer.source)


def recipients(notification: Notification) -> tuple[str, ...]:
    """Whom a notification goes to, each once; a webhook has one nameless recipient."""
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
