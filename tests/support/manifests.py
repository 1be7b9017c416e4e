"""The table of manifests that Python and the real API server must judge alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from execution_options.api.names import API_VERSION, OPTIONS_KIND
from execution_options.api.size import MAX_SNAPSHOT, parts

_TABLES = Path(__file__).parent.parent / "api"


@dataclass(frozen=True)
class Case:
    """One manifest; ``message`` is empty where it is valid.

    ``python`` is what Python says where that differs, which it does for types and bounds.
    """

    title: str
    spec: Any
    path: str = ""
    message: str = ""
    python: str = ""
    kind: str = OPTIONS_KIND
    name: str = "case"
    manifest: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        manifest = {"apiVersion": API_VERSION, "kind": self.kind, "metadata": {"name": self.name}, "spec": self.spec}
        object.__setattr__(self, "manifest", manifest)


def _notification(**fields: Any) -> dict[str, Any]:
    return {"notifications": [{"phases": ["FAILED"], "webhook": {}} | fields]}


def _email(recipients: list[str]) -> dict[str, Any]:
    return {"notifications": [{"phases": ["FAILED"], "email": {"recipients": recipients}}]}


def _envs(count: int, size: int) -> dict[str, Any]:
    return {"envs": [{"name": f"N{i:03}", "value": "v" * (size - 4)} for i in range(count)]}


def _notifications(count: int, recipients: int) -> list[dict[str, Any]]:
    people = [f"{'r' * 308}{i:03}@{'d' * 8}" for i in range(recipients)]
    return [{"phases": ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"], "email": {"recipients": people}}] * count


def _annotated(text: str) -> dict[str, Any]:
    return {"annotations": {"a": text}}


def _sized(size: int) -> dict[str, Any]:
    """A spec with something of everything that counts as so many bytes."""
    texts = {"subject": 'é "q" \\ 😀', "body": 'line\n\t"q" \\ é\r\n' * 40}
    slack = {
        "phases": ["FAILED"],
        "slack": {"recipients": ['#a"b\\c']},
        "channelRef": {"name": "own"},
        "template": texts,
    }
    pager = {"phases": ["ABORTED", "TIMED_OUT"], "pagerDuty": {"recipients": ["data"]}}
    run_as = {"k8sServiceAccount": "trainer", "serviceAccountPolicy": "Create", "iamRole": 'arn:"aws"'}
    spec: dict[str, Any] = {
        "labels": {"example.com/team": "vision"},
        **_annotated('{"json": "a\\b\n"}'),
        "securityContext": {"runAs": run_as},
        "rawOutputDataConfig": {"outputLocationPrefix": 's3://b/"q"'},
        "notifications": [slack, pager, {"phases": ["FAILED"], "webhook": {}}, *_notifications(1, 30)],
    }
    spec["envs"] = [{"name": "FILLER", "value": ""}]
    missing = size - sum(parts(spec).values())
    spec["envs"][0]["value"] = "v" * missing
    return spec


_LABELS = {f"l{i}": "v" * 63 for i in range(64)}
_DOMAIN_253 = ".".join(["d" * 49] * 5) + ".com"

# What is better computed than written out.
_REFUSED_SIZES = [
    Case("a label's name of 64 characters", {"labels": {"n" * 64: "v"}}, "spec.labels", "is not a valid key"),
    Case(
        "a label's domain of 254 characters",
        {"labels": {f"d{_DOMAIN_253}/n": "v"}},
        "spec.labels",
        "is not a valid key",
    ),
    Case(
        "a label's value of 64 characters",
        {"labels": {"k": "v" * 64}},
        "spec.labels",
        "Too long",
        "at most 63 are possible",
    ),
    Case(
        "65 labels",
        {"labels": {f"k{i}": "v" for i in range(65)}},
        "spec.labels",
        "Too many: 65: must have at most 64 items",
        "at most 64 are possible",
    ),
    Case(
        "annotations of 8193 bytes",
        {"annotations": {"a": "v" * 4095, "b": "v" * 4095, "c": ""}},
        "spec.annotations",
        "annotations are too large: keys and values may have 8192 bytes together",
    ),
    Case(
        "annotations of 8193 bytes in fewer characters",
        {"annotations": {"ab": "語" * 2730, "c": ""}},
        "spec.annotations",
        "annotations are too large",
    ),
    Case("variables of 8193 bytes", _envs(3, 2731), "spec.envs", "variables are too large"),
    Case("65 recipients", _email(["a@b.c"] * 65), "spec.notifications[0].email.recipients", "Too many", "at most 64"),
    Case(
        "33 notifications",
        {"notifications": [{"phases": ["FAILED"], "webhook": {}}] * 33},
        "spec.notifications",
        "Too many",
        "at most 32",
    ),
    Case(
        "a subject of 257 characters",
        _notification(template={"subject": "s" * 257}),
        "spec.notifications[0].template.subject",
        "Too long",
        "at most 256",
    ),
    Case(
        "a service account of 254 characters",
        {"securityContext": {"runAs": {"k8sServiceAccount": "a" * 254}}},
        "spec.securityContext.runAs.k8sServiceAccount",
        "Too long",
        "at most 253",
    ),
]
_TOO_LARGE = [
    ("a byte more than a snapshot holds", _sized(MAX_SNAPSHOT + 1)),
    ("64 labels of the longest keys", {"labels": {f"{_DOMAIN_253}/{i:063}": "v" * 63 for i in range(64)}}),
    ("64 labels, and 4 notifications of 64 recipients", {"labels": _LABELS, "notifications": _notifications(4, 64)}),
    ("32 notifications of 64 recipients", {"notifications": _notifications(32, 64)}),
    ("rare characters", _annotated("\x01" * 3000)),
]
_REFUSED_SIZES += [
    Case(title, spec, "spec", f"take {sum(parts(spec).values())} bytes of the snapshot of every execution")
    for title, spec in _TOO_LARGE
]
_ACCEPTED_SIZES = [
    Case("a label's key of 253/63 characters and value of 63", {"labels": {f"{_DOMAIN_253}/{'n' * 63}": "v" * 63}}),
    Case("40 labels of the longest keys", {"labels": {f"{_DOMAIN_253}/{i:063}": "v" for i in range(40)}}),
    Case("as much as a snapshot holds", _sized(MAX_SNAPSHOT)),
    Case("annotations of 8192 bytes", {"annotations": {"a": "v" * 4095, "b": "v" * 4095}}),
    Case("variables of 8192 bytes", _envs(4, 2048)),
    Case("a service account of 253 characters", {"securityContext": {"runAs": {"k8sServiceAccount": "a" * 253}}}),
    Case("the longest names and patterns", {"selector": {"names": ["*" * 253], "engines": ["e" * 63]}}),
]


@cache
def refused() -> tuple[Case, ...]:
    """Manifests that must be refused."""
    return (*_read("refused.yaml"), *_REFUSED_SIZES)


@cache
def accepted() -> tuple[Case, ...]:
    """Corner cases that must be accepted."""
    return (*_read("accepted.yaml"), *_ACCEPTED_SIZES)


def _read(table: str) -> list[Case]:
    return [Case(**case) for case in yaml.safe_load((_TABLES / table).read_text(encoding="utf-8"))]
