"""Names of kinds and objects, in every way in which kubectl takes and prints them."""

from __future__ import annotations

from typing import Any

import click
import msgspec
import pytest

from execution_options.api.kinds import KINDS
from execution_options.cli.kinds import means_ours, resolve, split
from execution_options.cli.notify import _delivery
from execution_options.engines.registry import builtin_engines
from execution_options.kube.client import ApiError

ENGINES = builtin_engines()
SHORT = {("", "pods"): ["po"], ("batch", "cronjobs"): ["cj"], ("argoproj.io", "workflows"): ["wf"]}


class Api:
    """An API server by what it says of its resources."""

    def __init__(self, short: dict[tuple[str, str], list[str]]) -> None:
        self.short = short
        self.asked: list[str] = []

    async def get(self, path: str, **_: Any) -> bytes:
        self.asked.append(path)
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        found = [{"name": name, "shortNames": short} for (of, name), short in self.short.items() if of == group]
        if not found:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode({"resources": [*found, {"name": "others"}]})


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("job/train",), ("job", "train")),
        (("job", "train"), ("job", "train")),
        (("jobs.batch/train",), ("jobs.batch", "train")),
        (("job",), ("job", "")),
        (("job/",), ("job", "")),
    ],
)
def test_kind_and_name_are_one_word_or_two(words: tuple[str, ...], found: tuple[str, str]) -> None:
    assert split(words) == found


@pytest.mark.parametrize("words", [("job/a", "b"), ("job", "a", "b"), ("job/a/b",), ("job", "a/b"), ("job/a", "job/b")])
def test_more_than_one_object_is_wrong_usage(words: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="is more than one object: write KIND/NAME or KIND NAME"):
        split(words)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=lambda one: one.name)
async def test_an_engine_has_every_name_that_kubectl_takes(engine: Any) -> None:
    full = f"{engine.version}.{engine.group}"
    names = [engine.name, engine.kind, engine.kind.lower(), engine.plural]
    if engine.group:
        names += [f"{engine.plural}.{engine.group}", f"{engine.kind.lower()}.{engine.group}", f"{engine.plural}.{full}"]
    api: Any = Api({})
    for name in names:
        found = await resolve(api, ENGINES, name)
        assert found is not None, name
        assert (found.engine, found.plan) == (engine, None), name
    assert await resolve(api, ENGINES, f"{engine.plural}.example.com") is None
    for plan in engine.launch_plans:
        found = await resolve(api, ENGINES, f"{plan.plural}.{plan.group}")
        assert found is not None
        assert (found.engine, found.plan) == (engine, plan)


@pytest.mark.parametrize(
    ("word", "engine", "plan"),
    [("po", "pod", None), ("wf", "argo-workflow", None), ("WF", "argo-workflow", None), ("cj", "job", "CronJob")],
)
async def test_short_names_are_those_of_the_cluster(word: str, engine: str, plan: str | None) -> None:
    api: Any = Api(SHORT)
    found = await resolve(api, ENGINES, word)
    assert found is not None
    assert (found.engine.name, found.plan and found.plan.kind) == (engine, plan)
    assert len(api.asked) == len(set(api.asked))
    nothing: Any = Api({})
    assert await resolve(nothing, ENGINES, word) is None


async def test_what_is_known_needs_no_look() -> None:
    api: Any = Api(SHORT)
    assert await resolve(api, ENGINES, "jobs") is not None
    assert await resolve(api, ENGINES, "") is None
    assert api.asked == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda one: one.kind)
def test_our_own_kinds_have_every_name_that_kubectl_takes(kind: Any) -> None:
    for name in (kind.kind, kind.kind.lower(), kind.plural, kind.short_name):
        for suffix in ("", ".execution.dev", ".v1beta1.execution.dev"):
            assert means_ours(name + suffix, kind)
        assert not means_ours(f"{name}.example.com", kind)
    assert [other for other in KINDS.values() if means_ours(kind.short_name, other)] == [kind]


@pytest.mark.parametrize(
    "text", ["x-1", "nd/x-1", "notificationdelivery.execution.dev/x-1", "notificationdeliveries/x-1"]
)
def test_a_delivery_is_named_as_kubectl_prints_it(text: str) -> None:
    assert _delivery(text) == "x-1"


@pytest.mark.parametrize("text", ["", "nd/", "/x", "eo/x", "notificationdelivery.example.com/x", "nd/a/x"])
def test_what_is_no_delivery_is_wrong_usage(text: str) -> None:
    with pytest.raises(click.UsageError, match="is no NotificationDelivery; write NAME, or nd/NAME"):
        _delivery(text)
