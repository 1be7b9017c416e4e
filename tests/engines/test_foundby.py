"""Labels by which a client finds its pod are never replaced: not at creation, by no update and by no edit."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from execution_options.admission.creation import Decision, decide
from execution_options.admission.edit import execution_plan
from execution_options.admission.update import restore
from execution_options.api.meta import ObjectMeta
from execution_options.options.snapshot import decode
from support.options import cluster, execution, namespaced
from support.rfc6902 import apply
from support.workloads import POD, pod

if TYPE_CHECKING:
    from execution_options.api.resources import OptionsObject

OPERATOR = {"kubernetes_pod_operator": "True"}
keys = st.sampled_from(["team", "dag_id", "cost", "own"])
labels = st.dictionaries(keys, st.sampled_from(["a", "b"]))
modes = st.sampled_from(["reference", "Enforce", "Default"])


def options(wanted: dict[str, str], mode: str) -> OptionsObject:
    spec: dict[str, Any] = {"labels": wanted}
    made = namespaced("o", spec) if mode == "reference" else cluster("o", spec | {"selector": {}, "mode": mode})
    return msgspec.structs.replace(made, uid="uid", generation=1)


def decided(document: dict[str, Any], given_options: OptionsObject, mode: str) -> tuple[Decision, dict[str, Any]]:
    facts = execution("o" if mode == "reference" else None, engine="pod")
    decision = decide(POD, copy.deepcopy(document), facts, [given_options], "0a")
    return decision, apply(document, decision.operations)


def present(document: dict[str, Any]) -> dict[str, str]:
    return {k: v for k, v in document["metadata"]["labels"].items() if not k.startswith("execution.dev/")}


@given(labels, labels, labels, modes)
def test_they_stay_as_the_client_wrote_them(
    own: dict[str, str], wanted: dict[str, str], later: dict[str, str], mode: str
) -> None:
    document = pod(labels={**OPERATOR, **own})
    first = options(wanted, mode)
    _, made = decided(document, first, mode)
    mine = {**OPERATOR, **own}
    assert {key: present(made)[key] for key in mine} == mine
    # What it did not write, it still gets.
    assert {key: value for key, value in wanted.items() if key not in own}.items() <= present(made).items()
    # An update by anybody.
    again = copy.deepcopy(made)
    again["metadata"]["labels"] = {**made["metadata"]["labels"], **mine}
    updated = apply(again, restore(POD, copy.deepcopy(again), made, trusted=False))
    assert {key: present(updated)[key] for key in mine} == mine
    # An edit of the options, which reaches pods that run.
    edited = msgspec.structs.replace(first, generation=2, spec=options(later, mode).spec)
    metadata = msgspec.convert(made["metadata"], ObjectMeta)
    plan = execution_plan(metadata, lambda kind, name: edited)
    after = apply({"metadata": msgspec.to_builtins(metadata)}, plan.operations)
    assert {key: present(after)[key] for key in mine} == mine
    assert {key: value for key, value in later.items() if key not in own}.items() <= present(after).items()


def test_it_is_said_and_remembered() -> None:
    document = pod(labels={**OPERATOR, "team": "author"})
    decision, made = decided(document, options({"team": "platform", "cost": "1"}, "Enforce"), "Enforce")
    (note,) = decision.notes
    assert note.startswith("label team: stays 'author', by which its client finds it, in spite of 'platform' of ")
    snapshot = decode(made["metadata"]["annotations"]["execution.dev/snapshot"])
    assert snapshot.found_by == ("kubernetes_pod_operator", "team")


def test_other_pods_get_what_is_enforced() -> None:
    _, made = decided(pod(labels={"team": "author"}), options({"team": "platform"}, "Enforce"), "Enforce")
    assert made["metadata"]["labels"]["team"] == "platform"
