"""Which resources of a quota are nearly used, in Kubernetes' notation of quantities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_options.parallelism import quota
from support.workloads import pod_spec


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8", 8),
        ("1500m", Decimal("1.5")),
        ("2k", 2000),
        ("1.5Gi", 1610612736),
        ("1Ki", 1024),
        ("3E", 3 * 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("100u", Decimal("0.0001")),
        ("", None),
        ("Gi", None),
        ("many", None),
        ("NaN", None),
        ("Infinity", None),
    ],
)
def test_a_quantity_is_a_number(text: str, number: Decimal | int | None) -> None:
    assert quota.amount(text) == number


@given(st.integers(0, 10**9), st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi"]))
def test_quantities_of_one_suffix_are_ordered_like_their_numbers(number: int, suffix: str) -> None:
    less, more = quota.amount(f"{number}{suffix}"), quota.amount(f"{number + 1}{suffix}")
    assert less is not None
    assert more is not None
    assert less < more


@given(st.text())
def test_any_text_is_a_quantity_or_invalid(text: str) -> None:
    found = quota.amount(text)
    assert found is None or found.is_finite()


@pytest.mark.parametrize(
    ("hard", "used", "texts"),
    [
        ({"pods": "8"}, {"pods": "5"}, []),
        ({"pods": "8"}, {"pods": "6"}, ["pods 6 of 8"]),
        ({"requests.cpu": "4", "pods": "100"}, {"requests.cpu": "3500m", "pods": "7"}, ["requests.cpu 3500m of 4"]),
        (
            {"count/pods": "4", "memory": "1Gi"},
            {"count/pods": "4", "memory": "900Mi"},
            ["count/pods 4 of 4", "memory 900Mi of 1Gi"],
        ),
        ({"requests.nvidia.com/gpu": "1"}, {"requests.nvidia.com/gpu": "1"}, ["requests.nvidia.com/gpu 1 of 1"]),
        (
            {"services": "1", "requests.storage": "1Gi", "count/jobs.batch": "1"},
            {"services": "1", "requests.storage": "1Gi", "count/jobs.batch": "1"},
            [],
        ),
        ({"pods": "8"}, {}, []),
        ({"pods": "?"}, {"pods": "8"}, []),
        # A resource that is forbidden altogether is never nearly used.
        ({"requests.nvidia.com/gpu": "0", "pods": "8"}, {"requests.nvidia.com/gpu": "0", "pods": "1"}, []),
    ],
)
def test_resources_of_pods_are_nearly_used_from_three_quarters_on(
    hard: dict[str, str], used: dict[str, str], texts: list[str]
) -> None:
    found = quota.nearly_used(hard, used)
    assert list(found.values()) == texts
    assert found.keys() <= hard.keys()


GPU = {"nvidia.com/gpu": "1"}
BUSY = pod_spec(containers=[{"name": "main", "resources": {"requests": {"cpu": "1", "memory": 1}, "limits": GPU}}])


@pytest.mark.parametrize(
    ("spec", "resource", "used"),
    [
        (BUSY, "pods", True),
        (BUSY, "count/pods", True),
        (BUSY, "cpu", True),
        (BUSY, "requests.cpu", True),
        (BUSY, "memory", True),
        (BUSY, "limits.cpu", False),
        (BUSY, "requests.nvidia.com/gpu", False),
        (BUSY, "limits.nvidia.com/gpu", True),
        (BUSY, "requests.ephemeral-storage", False),
        (pod_spec(), "requests.cpu", False),
        (pod_spec(overhead={"cpu": "100m"}), "requests.cpu", True),
        (pod_spec(overhead={"cpu": "100m"}), "limits.cpu", False),
        (pod_spec(resources={"limits": {"cpu": "1"}}), "limits.cpu", True),
        (pod_spec(initContainers=[{"resources": {"requests": {"hugepages-2Mi": "2Mi"}}}]), "hugepages-2Mi", True),
        (pod_spec(containers=[{"resources": {"requests": {"nvidia.com/gpu": "0"}}}]), "requests.nvidia.com/gpu", False),
        (pod_spec(containers=[{"resources": {}}, {"resources": None}], initContainers=None), "cpu", False),
    ],
)
def test_a_pod_uses_the_resources_that_it_requests(spec: dict[str, Any], resource: str, used: bool) -> None:
    assert quota.uses(resource, {"spec": spec}) is used


def test_a_quota_for_other_things_limits_no_pods() -> None:
    assert quota.limits_pods({"services": "1", "limits.memory": "1Gi"})
    assert not quota.limits_pods({"services": "1", "requests.storage": "1Gi"})


def test_a_refusal_begins_like_those_after_which_engines_try_again() -> None:
    assert quota.refusal("q", "pods 6 of 8").startswith("exceeded quota: q, used: pods 6 of 8")
