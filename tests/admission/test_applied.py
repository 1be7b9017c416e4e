"""A manifest that is applied again gets what it got at first; what was read, changed and written says itself."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_options.admission.creation import decide
from execution_options.admission.update import restore
from execution_options.api.meta import ObjectMeta
from execution_options.engines.facts import execution_of
from execution_options.engines.paths import locate, lookup
from support.executions import BACKUP, CASES, ENGINES, EVERYTHING, authored
from support.options import NAMESPACE, cluster, namespaced
from support.rfc6902 import apply
from support.strategies import mapping, wire

Manifest = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
OWNED: Manifest = {"f:metadata": {"f:annotations": {f"f:{LAST_APPLIED}": {}}}}
RUNNING = [case for case in CASES if case["engine"] != "pod"]
MUTABLE = [case for case in RUNNING if not ENGINES[case["engine"]].immutable_templates]
BY_ENGINE = {case["engine"]: case for case in CASES}

_spec = wire(
    {},
    labels=mapping(("cost", "team"), ("a", "b")),
    annotations=mapping(("note",), ("a", "b")),
    envs=mapping(("A", "REGION"), ("", "1", "2")).map(lambda m: [{"name": k, "value": v} for k, v in m.items()]),
    securityContext=st.sampled_from(("trainer", "mine", "")).map(lambda name: {"runAs": {"k8sServiceAccount": name}}),
    rawOutputDataConfig=st.just({"outputLocationPrefix": "s3://b"}),
    maxParallelism=st.sampled_from((0, 1, 4)),
    overwriteCache=st.booleans(),
)
_options = st.tuples(st.none() | _spec, st.none() | _spec, st.none() | _spec, st.none() | _spec).map(
    lambda specs: [
        make(name, {**extra, **spec})
        for make, name, extra, spec in (
            (cluster, "default", {"selector": {}}, specs[0]),
            (namespaced, "default", {"selector": {}}, specs[1]),
            (namespaced, "own", {}, specs[2] or {}),
            (cluster, "law", {"selector": {}, "mode": "Enforce"}, specs[3]),
        )
        if spec is not None
    ]
)
_manifests = st.tuples(st.sampled_from(RUNNING), st.booleans()).map(
    lambda drawn: (drawn[0], authored(drawn[0]) if drawn[1] else copy.deepcopy(drawn[0]["manifest"]))
)


def created(case: Manifest, manifest: Manifest, options: list[Any]) -> Manifest:
    """The object as it is stored."""
    engine = ENGINES[case["engine"]]
    metadata = ObjectMeta(name=manifest["metadata"]["name"], annotations={"execution.dev/options": "own"})
    facts = execution_of(engine, metadata, NAMESPACE, {})
    known = options if any(one.name == "own" for one in options) else [*options, namespaced("own", {})]
    decision = decide(engine, copy.deepcopy(manifest), facts, known, "0a", copy.deepcopy(case.get("specification")))
    return apply(manifest, decision.operations)


def updated(case: Manifest, sent: Manifest, stored: Manifest, manager: str = "") -> Manifest:
    operations = restore(ENGINES[case["engine"]], copy.deepcopy(sent), stored, trusted=False, manager=manager)
    return apply(sent, operations)


def merged(current: Any, manifest: Any) -> Any:
    """What a merge patch makes that says all of a manifest: lists are replaced."""
    if not isinstance(current, dict) or not isinstance(manifest, dict):
        return copy.deepcopy(manifest)
    return {**current, **{key: merged(current.get(key), value) for key, value in manifest.items()}}


def by(document: Manifest, manager: str, operation: str, owned: Manifest, time: str = "1") -> Manifest:
    """``document`` with one more who wrote to it."""
    entry = {"manager": manager, "operation": operation, "time": time, "fieldsV1": owned}
    others = document["metadata"].get("managedFields", [])
    kept = [other for other in others if (other["manager"], other["operation"]) != (manager, operation)]
    return {**document, "metadata": {**document["metadata"], "managedFields": [*kept, entry]}}


def client_side(manifest: Manifest) -> Manifest:
    """A manifest as ``kubectl apply`` sends it."""
    annotations = {**manifest["metadata"].get("annotations", {}), LAST_APPLIED: json.dumps(manifest)}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def plain(document: Manifest) -> Manifest:
    """Without who wrote what."""
    metadata = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": metadata}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_manifests, _options, st.sampled_from(("client", "server")))
def test_an_unchanged_manifest_changes_nothing(drawn: tuple[Manifest, Manifest], options: list[Any], side: str) -> None:
    case, original = drawn
    manifest = client_side(original) if side == "client" else original
    who = ("kubectl", "Update", OWNED) if side == "client" else ("kubectl", "Apply", {})
    stored = by(created(case, manifest, options), *who)
    sent = by(merged(stored, manifest), *who, time="2")
    after = updated(case, sent, stored, "kubectl")
    assert plain(after) == plain(stored)
    assert plain(updated(case, after, stored, "kubectl")) == plain(stored)
    # Within one second, no entry shows that its manager wrote again.
    assert plain(updated(case, by(sent, *who), stored, "kubectl")) == plain(stored)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_manifests, _options)
def test_what_was_read_and_written_with_changes_of_other_things_keeps_them(
    drawn: tuple[Manifest, Manifest], options: list[Any]
) -> None:
    case, manifest = drawn
    stored = created(case, manifest, options)
    sent = copy.deepcopy(stored)
    sent["metadata"]["labels"]["other"] = "1"
    sent.setdefault("spec", {})["other"] = [{"name": "x", "env": [{"name": "A", "value": "z"}]}]
    assert updated(case, sent, stored) == sent


@pytest.mark.parametrize("applied", [True, False], ids=["of an applied manifest", "of an object that nobody applies"])
@pytest.mark.parametrize("case", MUTABLE, ids=lambda case: case["engine"])
def test_whoever_read_it_takes_away_one_variable(case: Manifest, applied: bool) -> None:
    engine = ENGINES[case["engine"]]
    stored = created(case, authored(case), [namespaced("own", EVERYTHING)])
    if applied:
        stored = by(stored, "kubectl-client-side-apply", "Update", OWNED)
    for text in case.get("env", ()):
        for place in locate(stored, text):
            sent = copy.deepcopy(stored)
            lookup(sent, place).remove({"name": "STAGE", "value": "production"})
            if applied:
                sent = by(sent, "kubectl-edit", "Update", {}, time="2")
            assert updated(case, sent, stored, "kubectl-edit" if applied else "") == sent
            law = cluster(
                "law", {"selector": {}, "mode": "Enforce", "envs": [{"name": "STAGE", "value": "production"}]}
            )
            enforced = created(case, authored(case), [namespaced("own", EVERYTHING), law])
            sent = copy.deepcopy(enforced)
            lookup(sent, place).remove({"name": "STAGE", "value": "production"})
            names = {entry["name"]: entry.get("value") for entry in lookup(updated(case, sent, enforced), place)}
            assert names["STAGE"] == "production", engine.name


# Flyte's admin writes 0 and false for unset fields. These cannot be distinguished from values that somebody wrote.
@pytest.mark.parametrize(
    "case", [case for case in RUNNING if case["engine"] != "flyte-workflow"], ids=lambda case: case["engine"]
)
def test_a_whole_manifest_in_a_merge_patch_gets_back_what_its_lists_lose(case: Manifest) -> None:
    manifest = authored(case)
    stored = created(case, manifest, [namespaced("own", EVERYTHING)])
    assert updated(case, merged(stored, manifest), stored) == stored


def backup(**first: Any) -> Manifest:
    template = {"metadata": first.pop("metadata", {}), "spec": {"containers": [{"name": "main", **first}]}}
    return {
        "apiVersion": "example.com/v1",
        "kind": "Backup",
        "metadata": {"name": "weekly"},
        "spec": {"steps": [{"name": "one", "template": template}]},
    }


CASE = BY_ENGINE["backup"]
WHO: tuple[str, str, Manifest] = ("kubectl", "Apply", {"f:spec": {"f:steps": {}}})


def test_what_its_author_changes_counts_and_the_rest_comes_back_by_level() -> None:
    low = namespaced("low", {"selector": {}, "envs": [{"name": "A", "value": "low"}], "labels": {"team": "low"}})
    own = namespaced("own", {"envs": [{"name": "B", "value": "own"}]})
    stored = by(created(CASE, backup(), [low, own]), *WHO)
    env = [{"name": "A", "value": "mine"}, {"name": "B", "value": "mine"}]
    manifest = backup(env=env, metadata={"labels": {"team": "mine"}})
    manifest["spec"]["steps"].insert(0, {"name": "new", "template": {"spec": {"containers": [{"name": "x"}]}}})
    after = updated(CASE, by(merged(stored, manifest), *WHO, time="2"), stored, "kubectl")
    new, one = (step["template"] for step in after["spec"]["steps"])
    assert new["metadata"]["labels"] == {"team": "low", "execution.dev/id": "0a"}
    assert new["spec"]["containers"][0]["env"] == [{"name": "A", "value": "low"}, {"name": "B", "value": "own"}]
    assert one["metadata"]["labels"] == {"team": "mine", "execution.dev/id": "0a"}
    assert one["spec"]["containers"][0]["env"] == [{"name": "A", "value": "mine"}, {"name": "B", "value": "own"}]


def test_a_label_that_its_author_takes_out_of_his_manifest_gives_way_to_the_default() -> None:
    low = namespaced("low", {"selector": {}, "labels": {"team": "low"}})
    mine = backup()
    mine["metadata"]["labels"] = {"team": "mine"}
    stored = by(created(CASE, mine, [low]), *WHO)
    assert stored["metadata"]["labels"]["team"] == "mine"
    sent = by(copy.deepcopy(stored), *WHO, time="2")
    del sent["metadata"]["labels"]["team"]
    assert updated(CASE, sent, stored, "kubectl")["metadata"]["labels"]["team"] == "low"


def test_what_was_exported_and_is_applied_was_read() -> None:
    own = namespaced("own", {"envs": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]})
    stored = by(created(CASE, backup(), [own]), *WHO)
    exported: tuple[str, str, Manifest] = ("kubectl", "Apply", {"f:metadata": {"f:labels": {"f:execution.dev/id": {}}}})
    sent = by(copy.deepcopy(stored), *exported, time="2")
    del sent["spec"]["steps"][0]["template"]["spec"]["containers"][0]["env"][0]
    assert updated(CASE, sent, stored, "kubectl") == sent


def test_what_somebody_took_away_stays_away_while_others_change_other_things() -> None:
    stored = by(created(CASE, backup(), [namespaced("own", {"envs": [{"name": "A", "value": "1"}]})]), *WHO)
    del stored["spec"]["steps"][0]["template"]["spec"]["containers"][0]["env"]
    queue: Manifest = {"f:metadata": {"f:labels": {"f:queue": {}}}}
    sent = by(copy.deepcopy(stored), "queue", "Apply", queue, time="2")
    sent["metadata"]["labels"]["queue"] = "q"
    assert updated(CASE, sent, stored, "queue") == sent
    assert BACKUP.pod_templates == ("spec.steps[*].template",)


def test_a_pod_keeps_what_options_put_in_the_place_of_its_authors_words_and_gets_nothing_more() -> None:
    manifest = authored(BY_ENGINE["pod"])
    stored = created(BY_ENGINE["pod"], manifest, [namespaced("own", EVERYTHING)])
    sidecar = {"name": "sidecar", "image": "example.com/proxy"}
    stored["spec"]["containers"].append(sidecar)
    sent = copy.deepcopy(stored)
    sent["spec"]["containers"][0]["image"] = "other"
    wanted = copy.deepcopy(sent)
    sent["spec"]["serviceAccountName"] = "mine"
    for entry in sent["spec"]["containers"][0]["env"]:
        entry["value"] = "mine" if entry["name"] == "REGION" else entry["value"]
    assert updated(BY_ENGINE["pod"], sent, stored) == wanted


@pytest.mark.parametrize("text", ["", "null", "[]", "{", '{"metadata": 1}'])
def test_a_last_applied_configuration_that_cannot_be_read_knows_nothing(text: str) -> None:
    stored = by(created(CASE, backup(), [namespaced("own", EVERYTHING)]), "kubectl", "Update", OWNED)
    stored["metadata"]["annotations"][LAST_APPLIED] = text
    sent = by(merged(stored, backup()), "kubectl", "Update", OWNED, time="2")
    assert plain(updated(CASE, sent, stored, "kubectl")) == plain(stored)
