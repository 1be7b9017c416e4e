"""Which engines there are, whatever descriptions users apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.engines.profile import builtin
from execution_options.engines.resolution import Description, resolve
from support.descriptions import refused, spec

if TYPE_CHECKING:
    from support.manifests import Case

BUILTIN = {engine.name: engine for engine in builtin()}


def described(name: str, created: str = "2026-01-01T00:00:00Z", **changes: Any) -> Description:
    return Description(name, created, spec(**changes))


JOB = {"group": "batch", "kind": "Job", "plural": "jobs"}


def test_without_descriptions_the_built_in_engines_hold() -> None:
    assert dict(resolve([]).engines) == BUILTIN


def test_a_description_adds_an_engine() -> None:
    found = resolve([described("backup", podTemplates=["spec.template"])])
    assert not found.rejected
    backup = found.engines["backup"]
    assert backup is found.engines.of("example.com", "Backup")
    assert backup.pod_templates == ("spec.template",)
    assert ("example.com", "backup") in found.engines.owning
    assert {name: engine for name, engine in found.engines.items() if name != "backup"} == BUILTIN


def test_a_description_replaces_the_built_in_engine_of_its_name() -> None:
    found = resolve([described("job", **JOB, envs=["spec.envs"])])
    assert not found.rejected
    assert found.engines.of("batch", "Job") is found.engines["job"]
    assert found.engines["job"].envs == ("spec.envs",)
    assert len(found.engines) == len(BUILTIN)


def test_a_broken_description_replaces_nothing_and_stops_nobody() -> None:
    found = resolve([described("job", **JOB, podTemplates=["spec..template"]), described("backup")])
    assert found.engines["job"] == BUILTIN["job"]
    assert "backup" in found.engines
    rejection = found.rejected["job"]
    assert rejection.reason == "InvalidSpec"
    assert 'spec.podTemplates[0]: "spec..template": is no path' in rejection.message


@pytest.mark.parametrize("case", [case for case in refused() if case.python != "unknown field"], ids=lambda c: c.title)
def test_a_wrong_description_that_got_past_the_api_server_is_rejected_with_the_same_message(case: Case) -> None:
    (rejection,) = resolve([Description(case.name, "", case.spec)]).rejected.values()
    assert rejection.reason == "InvalidSpec"
    assert rejection.message.startswith(case.path)
    assert (case.python or case.message) in rejection.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"status": {"phases": [{"phase": "RUNNING"}, {"phase": "FAILED"}]}},
            "spec.status.phases[0].when: is empty, so that no rule after spec.status.phases[0] ever counts",
        ),
        ({"pods": {"roles": [{"role": "unit"}, {"role": "gang"}]}}, "spec.pods.roles[0].when: is empty"),
    ],
)
def test_rules_that_never_count_are_a_mistake(changes: dict[str, Any], message: str) -> None:
    assert message in resolve([described("backup", **changes)]).rejected["backup"].message


def test_what_a_newer_version_added_is_left_out_and_named() -> None:
    found = resolve([described("backup", steps=["spec.steps"])])
    assert "backup" in found.engines
    assert found.unknown == {"backup": ("spec.steps",)}


def test_a_kind_has_one_engine_the_built_in_one_or_the_oldest() -> None:
    found = resolve(
        [
            described("my-job", **JOB),
            described("younger", "2026-01-02T00:00:00Z"),
            described("older", "2026-01-01T00:00:00Z"),
        ]
    )
    assert {name: rejection.reason for name, rejection in found.rejected.items()} == {
        "my-job": "KindTaken",
        "younger": "KindTaken",
    }
    assert "batch/Job is the kind of engine job" in found.rejected["my-job"].message
    assert "older" in found.engines


def test_whoever_is_rejected_replaces_nothing() -> None:
    found = resolve([described("job", "2026-01-02T00:00:00Z"), described("backup"), described("my-job", **JOB)])
    assert {*found.rejected} == {"job", "my-job"}
    assert found.engines["job"] == BUILTIN["job"]


NAMES = st.sampled_from(["job", "jobset", "backup", "pod", "other"])
KINDS = st.sampled_from(
    [JOB, {}, {"kind": "Other", "plural": "others"}, {"group": "", "kind": "Pod", "plural": "pods"}, {"group": "A"}]
)
DESCRIPTIONS = st.dictionaries(NAMES, st.tuples(KINDS, st.sampled_from("123")), max_size=5)


@given(DESCRIPTIONS, st.randoms())
def test_every_description_is_used_or_rejected_whatever_the_order(
    chosen: dict[str, tuple[dict[str, Any], str]], chance: Any
) -> None:
    descriptions = [described(name, created, **kind) for name, (kind, created) in chosen.items()]
    found = resolve(descriptions)
    kinds = [(engine.group, engine.kind) for engine in found.engines.values()]
    assert len(kinds) == len(set(kinds))
    for one in descriptions:
        used = one.name in found.engines and found.engines[one.name].kind == one.spec["kind"]
        assert used or one.name in found.rejected
    assert {*BUILTIN} <= {*found.engines}
    chance.shuffle(descriptions)
    again = resolve(descriptions)
    assert (dict(again.engines), again.rejected) == (dict(found.engines), found.rejected)
