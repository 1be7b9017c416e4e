"""An execution that is updated keeps what it got when it was created."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from msgspec import UNSET, structs

from execution_options.admission.creation import decide
from execution_options.admission.update import restore, without_effect
from execution_options.api.meta import ObjectMeta
from execution_options.engines.facts import execution_of
from execution_options.options.live import Edited, Live, encode_live
from execution_options.options.snapshot import decode
from support.options import NAMESPACE, cluster, namespaced
from support.rfc6902 import apply
from support.workloads import JOB, POD, job, pod

DEFAULT = namespaced(
    "low",
    {
        "selector": {},
        "labels": {"team": "options", "low": "1"},
        "annotations": {"note": "options"},
        "securityContext": {"runAs": {"k8sServiceAccount": "trainer"}},
        "rawOutputDataConfig": {"outputLocationPrefix": "s3://b"},
        "envs": [{"name": "A", "value": "1"}],
    },
)
PASSED = namespaced("own", {"labels": {"passed": "options"}})
ENFORCED = cluster("cost", {"selector": {}, "mode": "Enforce", "labels": {"cost": "platform"}})
MINE = {"team": "mine", "cost": "mine", "passed": "mine"}
OURS = ("execution.dev/snapshot", "execution.dev/live", "execution.dev/missed", "execution.dev/anything")


def created(document: dict[str, Any]) -> dict[str, Any]:
    """The object as it is stored."""
    engine = POD if document["kind"] == "Pod" else JOB
    metadata = document["metadata"]
    known = ObjectMeta(generate_name=metadata.get("generateName", ""), annotations=metadata.get("annotations"))
    facts = execution_of(engine, known, NAMESPACE, {})
    decision = decide(engine, copy.deepcopy(document), facts, [DEFAULT, PASSED, ENFORCED], "0a")
    return apply(document, decision.operations)


def updated(new: dict[str, Any], old: dict[str, Any], *, trusted: bool = False) -> dict[str, Any]:
    """What becomes of an update."""
    engine = POD if new["kind"] == "Pod" else JOB
    return apply(new, restore(engine, copy.deepcopy(new), old, trusted=trusted))


MANIFESTS = {
    "plain": job(),
    "generated": job("train-"),
    "authored": job(labels=MINE, template={"labels": MINE}, options="own"),
    "account": job(serviceAccountName="mine", containers=[{"name": "c", "env": [{"name": "A", "value": "mine"}]}]),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_an_original_manifest_gets_what_it_got_at_first(name: str) -> None:
    stored = created(MANIFESTS[name])
    assert updated(MANIFESTS[name], stored) == stored


@pytest.mark.parametrize("reverse", [True, False])
def test_variables_stay_in_the_order_in_which_they_are_stored(reverse: bool) -> None:
    manifest = job(containers=[{"name": "c", "env": [{"name": "MINE", "value": "$(A)"}]}])
    stored = created(manifest)
    env = stored["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in env][-2:] == ["A", "MINE"]
    if reverse:  # as it was before what options give came first
        env.reverse()
    assert updated(manifest, stored) == stored
    assert updated(stored, stored) == stored


@pytest.mark.parametrize("name", MANIFESTS)
def test_what_was_read_and_sent_back_is_not_changed(name: str) -> None:
    stored = created(MANIFESTS[name])
    assert restore(JOB, copy.deepcopy(stored), stored, trusted=False) == []


def test_an_original_manifest_keeps_what_it_never_mentioned_and_changes_what_it_does() -> None:
    stored = created(job())
    again = updated(job(labels={"team": "mine", "new": "1"}, annotations={"mine": "1"}), stored)
    assert again["metadata"]["labels"] == {
        "team": "mine",
        "new": "1",
        "low": "1",
        "cost": "platform",
        "execution.dev/id": "0a",
    }
    assert again["metadata"]["annotations"]["note"] == "options"
    assert again["metadata"]["annotations"]["mine"] == "1"


def test_a_manifest_that_is_applied_as_a_patch_gets_what_it_got_at_first() -> None:
    stored = created(MANIFESTS["authored"])
    assert stored["metadata"]["labels"]["passed"] == "options"
    patched = copy.deepcopy(stored)
    patched["metadata"]["labels"] |= MINE
    patched["spec"]["template"]["metadata"]["labels"] |= MINE
    assert updated(patched, stored) == stored


def test_whoever_read_it_may_take_a_default_away() -> None:
    stored = created(job())
    sent = copy.deepcopy(stored)
    del sent["metadata"]["labels"]["low"], sent["metadata"]["annotations"]["note"]
    sent["metadata"]["labels"]["team"] = "other"
    assert updated(sent, stored) == sent


def test_nobody_takes_enforced_metadata_away() -> None:
    stored = created(job())
    for change in ({"cost": "mine"}, None):
        sent = copy.deepcopy(stored)
        del sent["metadata"]["labels"]["cost"]
        sent["metadata"]["labels"].update(change or {})
        assert updated(sent, stored) == stored
        assert updated(sent, stored, trusted=True) == sent


def test_what_an_edit_took_away_since_does_not_come_back() -> None:
    stored = created(job())
    del stored["metadata"]["labels"]["cost"], stored["metadata"]["labels"]["low"]
    stored["metadata"]["labels"]["team"] = "edited"
    stored["metadata"]["annotations"]["execution.dev/live"] = edited(stored, {"cost", "low"})
    again = updated(job(), stored)["metadata"]["labels"]
    assert again == {"team": "edited", "execution.dev/id": "0a"}


def edited(stored: dict[str, Any], gone: set[str]) -> str | None:
    """The annotation that the controller writes where options no longer have some labels."""
    layers = decode(stored["metadata"]["annotations"]["execution.dev/snapshot"]).layers
    edits = (
        Edited(
            kind=layer.source.kind,
            name=layer.source.name,
            uid=layer.source.uid,
            generation=layer.source.generation + 1,
            spec=structs.replace(layer.spec, labels={k: v for k, v in layer.spec.labels.items() if k not in gone}),
        )
        for layer in layers
        if layer.spec.labels is not UNSET
    )
    return encode_live(Live(tuple(edits)))


def test_an_enforced_value_that_was_lost_comes_back_with_the_next_update() -> None:
    stored = created(job())
    del stored["metadata"]["labels"]["cost"]
    assert updated(copy.deepcopy(stored), stored)["metadata"]["labels"]["cost"] == "platform"
    assert "cost" not in updated(copy.deepcopy(stored), stored, trusted=True)["metadata"]["labels"]


def test_the_template_of_a_missed_execution_stays_as_it_is() -> None:
    stored = created(job())
    stored["spec"] = job()["spec"]
    stored["metadata"]["annotations"]["execution.dev/missed"] = "2026-01-01T00:00:00Z"
    again = copy.deepcopy(stored)
    again["metadata"]["labels"]["mine"] = "x"
    assert updated(again, stored)["spec"] == job()["spec"]


@pytest.mark.parametrize("document", [job(), pod()], ids=["job", "pod"])
def test_only_the_operator_changes_its_own_metadata(document: dict[str, Any]) -> None:
    stored = created(document)
    forged, removed = copy.deepcopy(stored), copy.deepcopy(stored)
    forged["metadata"]["labels"]["execution.dev/id"] = "forged"
    del removed["metadata"]["annotations"]["execution.dev/snapshot"]
    for key in OURS:
        forged["metadata"]["annotations"][key] = "forged"
    assert updated(forged, stored) == stored
    assert updated(removed, stored) == stored
    assert updated(forged, stored, trusted=True) == forged | (
        {} if document["kind"] == "Pod" else {"spec": forged["spec"]}
    )


def test_an_execution_without_options_cannot_be_given_a_forged_snapshot() -> None:
    forged = job(labels={"execution.dev/id": "x"}, annotations=dict.fromkeys(OURS, "x"))
    after = updated(forged, job())["metadata"]
    assert not after.get("labels")
    assert not after.get("annotations")


def test_authors_may_change_their_own_annotations() -> None:
    stored = created(job())
    sent = copy.deepcopy(stored)
    sent["metadata"]["annotations"] |= {"execution.dev/options": "own", "execution.dev/disable-notifications": "true"}
    assert updated(sent, stored) == sent


def test_a_suspended_jobs_template_keeps_what_options_gave_it() -> None:
    stored = created(job(spec={"suspend": True}))
    sent = copy.deepcopy(stored)
    template = sent["spec"]["template"]
    template["metadata"] = {
        "labels": {"kueue": "x", "cost": "mine"},
        "annotations": {"execution.dev/applied": "forged"},
    }
    template["spec"]["nodeSelector"] = {"pool": "gpu"}
    after = updated(sent, stored)["spec"]["template"]
    assert after["metadata"]["labels"] == {
        "kueue": "x",
        "cost": "platform",
        "team": "options",
        "low": "1",
        "execution.dev/id": "0a",
    }
    assert "execution.dev/applied" not in after["metadata"]["annotations"]
    assert after["spec"] == template["spec"]


def test_a_location_made_from_generate_name_is_not_made_again() -> None:
    stored = created(job("train-"))
    named = {**job("train-x7k2p"), "metadata": {"name": "train-x7k2p", "generateName": "train-"}}
    stored["metadata"]["name"] = "train-x7k2p"
    env = updated(named, stored)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == stored["spec"]["template"]["spec"]["containers"][0]["env"]


@pytest.mark.parametrize("snapshot", ["", "no snapshot", "{}", "[]"])
def test_a_snapshot_that_cannot_be_read_changes_nothing(snapshot: str) -> None:
    stored = job(labels={"execution.dev/id": "x"}, annotations={"execution.dev/snapshot": snapshot})
    assert restore(JOB, copy.deepcopy(stored), stored, trusted=False) == []


@pytest.mark.parametrize("name", ["execution.dev/options", "execution.dev/inline"])
def test_a_choice_of_options_that_comes_too_late_is_warned_of(name: str) -> None:
    old = created(job(annotations={name: "own" if name.endswith("options") else "maxParallelism: 1"}))
    new = copy.deepcopy(old)
    assert without_effect(new, old) == []
    new["spec"]["suspend"] = True
    assert without_effect(new, old) == []
    new["metadata"]["annotations"][name] = "other"
    assert without_effect(new, old) == [
        f"metadata.annotations[{name}]: has no effect on an execution that exists; it is read at its creation"
    ]
    del new["metadata"]["annotations"]
    assert len(without_effect(new, old)) == len(without_effect(old, new)) == 1
