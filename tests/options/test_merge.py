"""The merge: which value of each field wins, from which source, and which values lose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import given
from msgspec import UNSET, convert, to_builtins

from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.security_context import RunAs
from execution_options.options.levels import Layer, Level, Source, Sourced
from execution_options.options.merge import Effective, Overridden, merge, recipients
from support.options import layer
from support.strategies import layer_stacks

if TYPE_CHECKING:
    from execution_options.api.notification import Notification

LOW = Level.NAMESPACE_DEFAULT
HIGH = Level.EXECUTION

Values = dict[str, Any]


def declared(spec: ExecutionOptionsSpec) -> Values:
    """Every value of a spec that can win or lose, by its path in a manifest."""
    plain = to_builtins(spec)
    values: Values = {
        field: plain[field]
        for field in ("maxParallelism", "overwriteCache", "disableNotifications", "notificationGuarantee")
        if field in plain
    }
    if run_as := plain.get("securityContext", {}).get("runAs"):
        values["securityContext.runAs"] = run_as
    if "rawOutputDataConfig" in plain:
        values["rawOutputDataConfig.outputLocationPrefix"] = plain["rawOutputDataConfig"]["outputLocationPrefix"]
    for field in ("labels", "annotations"):
        values |= {f"{field}[{key}]": value for key, value in plain.get(field, {}).items()}
    return values | {f"envs[{env['name']}]": env["value"] for env in plain.get("envs", ())}


def got(effective: Effective) -> dict[str, Sourced[Any]]:
    """Every effective value except notifications, by the same paths, as plain data."""
    values: dict[str, Sourced[Any] | None] = {
        "maxParallelism": effective.max_parallelism,
        "overwriteCache": effective.overwrite_cache,
        "disableNotifications": effective.disable_notifications,
        "notificationGuarantee": effective.notification_guarantee,
        "securityContext.runAs": effective.run_as,
        "rawOutputDataConfig.outputLocationPrefix": effective.output_location_prefix,
    }
    values |= {f"labels[{key}]": value for key, value in effective.labels.items()}
    values |= {f"annotations[{key}]": value for key, value in effective.annotations.items()}
    values |= {f"envs[{name}]": value for name, value in effective.envs.items()}
    return {path: Sourced(to_builtins(v.value), v.source) for path, v in values.items() if v is not None}


def as_spec(effective: Effective) -> ExecutionOptionsSpec:
    """Effective options as the spec of one object."""
    plain: dict[str, Any] = {"labels": {}, "annotations": {}, "envs": []}
    for path, value in got(effective).items():
        match path.rstrip("]").replace("[", "]", 1).split("]"):
            case ["envs", name]:
                plain["envs"].append({"name": name, "value": value.value})
            case [field, key]:
                plain[field][key] = value.value
            case ["securityContext.runAs"]:
                plain["securityContext"] = {"runAs": value.value}
            case ["rawOutputDataConfig.outputLocationPrefix"]:
                plain["rawOutputDataConfig"] = {"outputLocationPrefix": value.value}
            case _:
                plain[path] = value.value
    plain["notifications"] = to_builtins([notification.value for notification in effective.notifications])
    return convert(plain, ExecutionOptionsSpec)


def values(effective: Effective) -> tuple[Values, list[Notification]]:
    """The values that an execution gets, without their sources."""
    return (
        {path: value.value for path, value in got(effective).items()},
        [notification.value for notification in effective.notifications],
    )


Sending = tuple[str, str, str]


def sendings(notification: Notification) -> list[Sending]:
    """(phase, destination, recipient) for every message that a notification causes."""
    plain = to_builtins(notification)
    transport = next(name for name in ("email", "slack", "pagerDuty", "webhook") if name in plain)
    destination = f"{transport} {plain.get('channelRef')} {plain.get('template')}"
    who = plain[transport].get("recipients", [""])
    return [(phase, destination, recipient) for phase in plain["phases"] for recipient in who]


def written(notification: Notification) -> Values:
    """A notification as users write it."""
    return cast("Values", msgspec.json.decode(msgspec.json.encode(notification)))


def notifications(spec: ExecutionOptionsSpec) -> tuple[Notification, ...]:
    return () if spec.notifications is UNSET else spec.notifications


@given(layer_stacks())
def test_the_last_layer_with_a_value_wins(layers: tuple[Layer, ...]) -> None:
    effective = got(merge(layers))
    expected = {
        path: Sourced(value, entry.source)
        for entry in layers
        for path, value in declared(entry.spec).items()
        if path != "disableNotifications"
    }
    assert {path: value for path, value in effective.items() if path != "disableNotifications"} == expected


@given(layer_stacks())
def test_the_highest_level_with_a_value_decides_whether_notifications_are_disabled(layers: tuple[Layer, ...]) -> None:
    voices: dict[Level, list[bool]] = {}
    for entry in layers:
        if entry.spec.disable_notifications is not UNSET:
            voices.setdefault(entry.source.level, []).append(entry.spec.disable_notifications)
    disabled = merge(layers).disable_notifications
    if not voices:
        assert disabled is None
    else:
        assert disabled is not None
        assert disabled.source.level == max(voices)
        assert disabled.value == any(voices[max(voices)])


@given(layer_stacks())
def test_every_source_declares_its_value(layers: tuple[Layer, ...]) -> None:
    effective = merge(layers)
    by_source = {entry.source: entry.spec for entry in layers}
    for path, value in got(effective).items():
        assert declared(by_source[value.source])[path] == value.value
    for notification in effective.notifications:
        allowed = {triple for own in notifications(by_source[notification.source]) for triple in sendings(own)}
        assert allowed.issuperset(sendings(notification.value))


@given(layer_stacks())
def test_overridden_has_exactly_the_values_that_are_not_effective(layers: tuple[Layer, ...]) -> None:
    effective = merge(layers)
    winners = got(effective)
    losers = [
        (path, value, entry.source, winners[path].source)
        for entry in layers
        for path, value in declared(entry.spec).items()
        if value != winners[path].value
    ]
    named = [(lost.field, to_builtins(lost.value), lost.source, lost.by) for lost in effective.overridden]
    assert sorted(named, key=repr) == sorted(losers, key=repr)


@given(layer_stacks())
def test_an_identity_is_never_mixed_from_two_sources(layers: tuple[Layer, ...]) -> None:
    run_as = merge(layers).run_as
    whole = [entry.spec.security_context.run_as for entry in layers if entry.spec.security_context is not UNSET]
    assert run_as is None or run_as.value in whole


@given(layer_stacks())
def test_every_recipient_is_notified_as_layers_declare_and_never_twice(layers: tuple[Layer, ...]) -> None:
    wanted = {triple for entry in layers for own in notifications(entry.spec) for triple in sendings(own)}
    happens = [triple for notification in merge(layers).notifications for triple in sendings(notification.value)]
    assert len(happens) == len(set(happens))
    assert set(happens) == wanted


@given(layer_stacks())
def test_merging_merged_options_changes_nothing(layers: tuple[Layer, ...]) -> None:
    effective = merge(layers)
    again = merge([Layer(Source(Level.EXECUTION, "ExecutionOptions", "merged"), as_spec(effective))])
    assert values(again) == values(effective)
    assert again.overridden == ()


@given(layer_stacks())
def test_repeating_every_layer_changes_nothing(layers: tuple[Layer, ...]) -> None:
    twice = merge([entry for entry in layers for _ in range(2)])
    assert values(twice) == values(merge(layers))


@given(layer_stacks(), layer_stacks())
def test_empty_layers_change_nothing(layers: tuple[Layer, ...], silent: tuple[Layer, ...]) -> None:
    empty = [Layer(entry.source, ExecutionOptionsSpec()) for entry in silent]
    assert merge([*empty, *layers, *empty]) == merge(layers)


def test_nothing_merges_to_nothing() -> None:
    assert merge([]) == Effective()


@pytest.mark.parametrize(
    ("path", "low", "high"),
    [
        ("maxParallelism", {"maxParallelism": 8}, {"maxParallelism": 0}),
        ("overwriteCache", {"overwriteCache": True}, {"overwriteCache": False}),
        ("disableNotifications", {"disableNotifications": True}, {"disableNotifications": False}),
        ("notificationGuarantee", {"notificationGuarantee": "Held"}, {"notificationGuarantee": "Observed"}),
        ("labels[tier]", {"labels": {"tier": "gold"}}, {"labels": {"tier": ""}}),
        ("annotations[tier]", {"annotations": {"tier": "gold"}}, {"annotations": {"tier": ""}}),
        ("envs[KEY]", {"envs": [{"name": "KEY", "value": "1"}]}, {"envs": [{"name": "KEY", "value": ""}]}),
        (
            "securityContext.runAs",
            {"securityContext": {"runAs": {"k8sServiceAccount": "trainer"}}},
            {"securityContext": {"runAs": {"k8sServiceAccount": ""}}},
        ),
    ],
)
def test_an_explicit_zero_false_or_empty_string_wins_like_any_value(path: str, low: Values, high: Values) -> None:
    below, above = layer(LOW, low), layer(HIGH, high)
    effective = merge([below, above])
    assert got(effective) == {path: Sourced(declared(above.spec)[path], above.source)}
    assert [(lost.field, lost.source, lost.by) for lost in effective.overridden] == [(path, below.source, above.source)]


@pytest.mark.parametrize(
    "nothing",
    [
        {},
        {"labels": {}, "annotations": {}, "envs": [], "notifications": []},
        {"securityContext": {}},
        {"securityContext": {"runAs": {}}},
    ],
)
def test_an_empty_map_list_or_object_declares_nothing(nothing: Values) -> None:
    below = layer(
        LOW,
        {
            "labels": {"tier": "gold"},
            "envs": [{"name": "KEY", "value": "1"}],
            "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
            "notifications": [{"phases": ["FAILED"], "webhook": {}}],
        },
    )
    assert merge([below, layer(HIGH, nothing)]) == merge([below])


def test_a_role_is_not_kept_beside_another_levels_account() -> None:
    low = layer(LOW, {"securityContext": {"runAs": {"k8sServiceAccount": "trainer", "iamRole": "role"}}})
    high = layer(HIGH, {"securityContext": {"runAs": {"k8sServiceAccount": "reader"}}})
    assert merge([low, high]).run_as == Sourced(RunAs(k8s_service_account="reader"), high.source)


def test_an_equal_value_overrides_nothing_and_belongs_to_the_higher_level() -> None:
    low, high = layer(LOW, {"maxParallelism": 4}), layer(HIGH, {"maxParallelism": 4})
    effective = merge([low, high])
    assert effective.max_parallelism == Sourced(4, high.source)
    assert effective.overridden == ()


def test_every_overridden_value_names_the_final_winner() -> None:
    one = layer(Level.CLUSTER_DEFAULT, {"maxParallelism": 1})
    same = layer(Level.NAMESPACE_DEFAULT, {"maxParallelism": 1})
    other = layer(Level.LAUNCH_PLAN, {"maxParallelism": 2})
    wins = layer(Level.EXECUTION, {"maxParallelism": 3})
    assert merge([one, same, other, wins]).overridden == (
        Overridden("maxParallelism", 1, one.source, wins.source),
        Overridden("maxParallelism", 1, same.source, wins.source),
        Overridden("maxParallelism", 2, other.source, wins.source),
    )


def test_disabled_notifications_apply_to_their_level_in_any_order() -> None:
    silent = layer(HIGH, {"disableNotifications": True}, "silent")
    loud = layer(HIGH, {"disableNotifications": False}, "loud")
    for layers in ([silent, loud], [loud, silent]):
        effective = merge(layers)
        assert effective.disable_notifications == Sourced(value=True, source=silent.source)
        assert effective.overridden == (Overridden("disableNotifications", False, loud.source, silent.source),)


def test_higher_levels_can_enable_and_disable_notifications_again() -> None:
    low = layer(Level.CLUSTER_DEFAULT, {"disableNotifications": True})
    lifted = layer(Level.NAMESPACE_DEFAULT, {"disableNotifications": False})
    again = layer(Level.CLUSTER_ENFORCE, {"disableNotifications": True})
    assert merge([low, lifted]).disable_notifications == Sourced(value=False, source=lifted.source)
    assert merge([low, lifted, again]).disable_notifications == Sourced(value=True, source=again.source)


def test_disabled_notifications_are_kept() -> None:
    """An edit can enable them again."""
    loud = {"notifications": [{"phases": ["FAILED"], "webhook": {}}]}
    assert merge([layer(LOW, loud), layer(HIGH, {"disableNotifications": True})]).notifications


def test_only_new_sendings_are_added() -> None:
    low = layer(LOW, {"notifications": [{"phases": ["FAILED"], "email": {"recipients": ["ann@example.com"]}}]})
    high = layer(
        HIGH,
        {
            "notifications": [
                {
                    "phases": ["FAILED", "ABORTED"],
                    "email": {"recipients": ["ann@example.com", "bob@example.com", "eve@example.com"]},
                }
            ]
        },
    )
    assert [(written(one.value), one.source) for one in merge([low, high]).notifications] == [
        ({"phases": ["FAILED"], "email": {"recipients": ["ann@example.com"]}}, low.source),
        ({"phases": ["ABORTED"], "email": {"recipients": ["ann@example.com"]}}, high.source),
        (
            {"phases": ["FAILED", "ABORTED"], "email": {"recipients": ["bob@example.com", "eve@example.com"]}},
            high.source,
        ),
    ]


def test_another_channel_template_or_transport_is_another_destination() -> None:
    plain = {"phases": ["FAILED"], "email": {"recipients": ["ann@example.com"]}}
    destinations = [
        plain,
        plain | {"channelRef": {"name": "ops"}},
        plain | {"template": {"subject": "Look"}},
        {"phases": ["FAILED"], "slack": {"recipients": ["ann@example.com"]}},
        {"phases": ["FAILED"], "pagerDuty": {"recipients": ["ann@example.com"]}},
        {"phases": ["FAILED"], "webhook": {}},
    ]
    spec = {"notifications": destinations}
    assert [written(one.value) for one in merge([layer(LOW, spec), layer(HIGH, spec)]).notifications] == destinations


def test_a_phase_or_recipient_that_is_listed_twice_counts_once() -> None:
    spec = {
        "notifications": [
            {"phases": ["FAILED", "FAILED"], "email": {"recipients": ["ann@example.com", "ann@example.com"]}}
        ]
    }
    [only] = merge([layer(LOW, spec)]).notifications
    assert only.value.phases == ("FAILED",)
    assert recipients(only.value) == ("ann@example.com",)
