"""What options may take of every execution's snapshot: what passes fits, whatever the execution."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_KIND
from execution_options.api.problem import InvalidOptionsError
from execution_options.api.resources import from_api, load
from execution_options.api.size import MAX_SNAPSHOT, parts
from execution_options.api.validation import decoded, problems
from execution_options.engines.translate import output_location
from execution_options.options.levels import Layer, Level, Source
from execution_options.options.live import Edited, Live, encode_live
from execution_options.options.snapshot import Snapshot, encode, frozen
from support.specs import VALID, Wire

AWKWARD = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\r\t\b\f\x01\x1f\x7f\u2028<'), max_size=60
)
LINES = st.text(st.sampled_from('a"\\<é\u2028😀'), min_size=1, max_size=60)


def people(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[Wire]:
    return st.fixed_dictionaries({"recipients": st.lists(strategy, min_size=1, max_size=4)})


NOTIFICATIONS = st.builds(
    lambda transport, rest: {**transport, **rest},
    st.sampled_from(["slack", "pagerDuty"]).flatmap(lambda name: st.fixed_dictionaries({name: people(LINES)}))
    | st.just({"email": {"recipients": ["a@example.com"]}})
    | st.just({"webhook": {}}),
    st.fixed_dictionaries(
        {"phases": st.lists(st.sampled_from(["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]), min_size=1, unique=True)},
        optional={
            "channelRef": st.just({"name": "c" * 253}),
            "template": st.fixed_dictionaries({"body": AWKWARD.filter(bool)}, optional={"subject": LINES}),
        },
    ),
)


def stored(spec: Wire) -> bool:
    """Whether an API server can have it: no JSON that it writes has half of a surrogate pair."""
    return not any("\ud800" <= character <= "\udfff" for character in json.dumps(spec, ensure_ascii=False))


RUN_AS = {"k8sServiceAccount": "a" * 253, "iamRole": '"\\' * 256, "serviceAccountPolicy": "Create"}
SPECS = st.builds(
    lambda base, more: {**base, **more},
    VALID.filter(stored),
    st.fixed_dictionaries(
        {},
        optional={
            "annotations": st.dictionaries(st.sampled_from(["a", "example.com/b", "c"]), AWKWARD),
            "envs": st.lists(AWKWARD, max_size=4).map(
                lambda values: [{"name": f"N{i}", "value": v.replace("\0", "")} for i, v in enumerate(values)]
            ),
            "notifications": st.lists(NOTIFICATIONS, max_size=4),
            "updatePolicy": st.just("NextExecution"),
            "notificationGuarantee": st.just("Observed"),
            "maxParallelism": st.just(2**31 - 1),
            "disableNotifications": st.just(False),
            "securityContext": st.just({"runAs": RUN_AS}),
            "rawOutputDataConfig": LINES.map(lambda text: {"outputLocationPrefix": f"s3://b/{text}"}),
        },
    ),
)


def largest_snapshot(spec: Wire) -> Snapshot:
    """Of the execution, and the object, that take the most."""
    source = Source(Level.CLUSTER_ENFORCE, CLUSTER_OPTIONS_KIND, "n" * 253, "u" * 36, 2**63 - 1)
    prefix = spec.get("rawOutputDataConfig", {}).get("outputLocationPrefix")
    account = spec.get("securityContext", {}).get("runAs", {}).get("k8sServiceAccount", "")
    return Snapshot(
        id="0" * 16,
        layers=(frozen(Layer(source, decoded(spec, CLUSTER_OPTIONS_KIND))),),
        location="" if prefix is None else output_location(prefix, "n" * 63, "e" * 253, "", "0" * 16),
        account=account,
    )


@given(SPECS)
def test_what_is_counted_is_never_less_than_what_a_snapshot_takes(spec: Wire) -> None:
    text = encode(largest_snapshot(spec))
    counted = sum(parts(spec).values())
    assert len(text.encode()) <= counted
    layer = largest_snapshot(spec).layers[0]
    live = Edited(kind=CLUSTER_OPTIONS_KIND, name="n" * 253, uid="u" * 36, generation=2**63 - 1, spec=layer.spec)
    assert len((encode_live(Live((live,))) or "").encode()) <= counted


@given(SPECS.filter(lambda spec: "securityContext" not in spec and "rawOutputDataConfig" not in spec))
def test_what_is_counted_is_hardly_more(spec: Wire) -> None:
    rare = any(ord(character) < 32 and character not in "\n\r\t" for character in str(spec))
    slack = 1200 + 60 * len(spec.get("notifications", ()))
    text = encode(largest_snapshot(spec))
    if not rare and "\\x" not in repr(spec) and "\\b" not in repr(spec):
        assert sum(parts(spec).values()) <= len(text.encode()) + slack


def people_of(notifications: int, recipients: int) -> Wire:
    one = {"phases": ["FAILED"], "email": {"recipients": [f"person-{n:03}@example.com" for n in range(recipients)]}}
    return {"selector": {}, "labels": {f"l{n}": "v" * 63 for n in range(64)}, "notifications": [one] * notifications}


def test_options_that_no_execution_could_have_are_refused_with_their_size_and_their_largest_part() -> None:
    (problem,) = problems(people_of(10, 64), OPTIONS_KIND)
    assert problem.path == "spec"
    counted = parts(people_of(10, 64))
    assert f"take {sum(counted.values())} bytes" in problem.message
    assert f"the largest part is notifications with {counted['notifications']}" in problem.message


def test_the_largest_options_that_pass_fit() -> None:
    passing = [n for n in range(1, 64) if not problems(people_of(8, n), OPTIONS_KIND)]
    assert 0 < max(passing) < 63
    assert len(encode(largest_snapshot(people_of(8, max(passing))))) <= MAX_SNAPSHOT


def test_what_was_stored_before_still_works() -> None:
    manifest: dict[str, Any] = {
        "apiVersion": "execution.dev/v1beta1",
        "kind": OPTIONS_KIND,
        "metadata": {"name": "o"},
        "spec": people_of(10, 64),
    }
    assert from_api(manifest).spec.labels
    with pytest.raises(InvalidOptionsError, match="of the snapshot of every execution"):
        load(manifest)
