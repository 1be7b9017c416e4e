"""Python and the API server judge alike whatever is generated near the schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_options.api.crd import crd
from execution_options.api.names import API_VERSION, CLUSTER_OPTIONS_KIND
from execution_options.api.schema import spec_schema
from execution_options.api.validation import problems
from support.specs import KEYS, NAMES, PATTERNS, VALID, VALUES, misshapen

if TYPE_CHECKING:
    from support.apiserver import ApiServer

pytestmark = pytest.mark.e2e

# No lone surrogates and no floats: JSON parsers differ there before validation begins.
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.text("aA0-_./:@*? #\x00\n\x7f", max_size=8),
    st.sampled_from(
        ["s3://b", "s3:///b", "hdfs:///b", "file://b", "/b", "a@b.c", "execution.dev/a", "job-name", "none"]
    ),
    KEYS,
    NAMES,
    PATTERNS,
    VALUES,
)
EMPTY: st.SearchStrategy[Any] = st.sampled_from([[], {}])
STRAYS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS | EMPTY
SPECS = misshapen(spec_schema(CLUSTER_OPTIONS_KIND), TEXTS, STRAYS)


@pytest.fixture(scope="module")
def server(api_server: ApiServer, crds: None) -> ApiServer:
    return api_server


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(spec=st.one_of(SPECS, VALID))
def test_both_refuse_the_same_in_the_same_places(server: ApiServer, spec: Any) -> None:
    plural = crd(CLUSTER_OPTIONS_KIND)["spec"]["names"]["plural"]
    manifest = {
        "apiVersion": API_VERSION,
        "kind": CLUSTER_OPTIONS_KIND,
        "metadata": {"name": "agreement"},
        "spec": spec,
    }
    answer = server.post(f"/apis/{API_VERSION}/{plural}?dryRun=All&fieldValidation=Strict", manifest)
    found = problems(spec, CLUSTER_OPTIONS_KIND)

    assert (answer["kind"] == "Status") == bool(found), (answer, found)
    causes = answer.get("details", {}).get("causes", ())
    if not found or not causes or any("rules were not checked" in cause["message"] for cause in causes):
        return
    here, there = {plain(problem.path) for problem in found}, {plain(cause["field"]) for cause in causes}
    assert here <= there, (answer, found)
    # Python checks rules only once bounds are right, the API server also beside some bounds.
    if not any(re.search("in body|Unsupported|Duplicate|<nil>", f"{c['field']}{c['message']}") for c in causes):
        assert here == there, (answer, found)


def plain(path: str) -> str:
    """The path with keys of maps as the API server writes them for types and bounds."""
    return path.replace("[", ".").replace("]", "")
