"""Options that are not known hold pods until it is certain that they are gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from execution_options.api.keys import OptionsKey
from execution_options.controller.cache.optionsindex import OptionsIndex
from execution_options.controller.cache.tracker import Tracker
from execution_options.controller.parallelism.assembly import Parallelism
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.settings import Settings
from execution_options.kube.client import ApiError, error_of
from execution_options.parallelism.pods import GatedPod
from support.podapi import KIND, TEAM, PodApi, bare

KEY = OptionsKey(KIND, TEAM, "o")
GONE = ApiError(404, "NotFound", "executionoptions o not found")


class Unsure:
    """A pod that waits by options of which nothing was heard, and who asks for them."""

    def __init__(self) -> None:
        self.answer: ApiError | bytes = GONE
        self.installed: bool = True
        kube: Any = self
        world: Any = SimpleNamespace(tracker=Tracker(), executions=SimpleNamespace(is_defined=lambda _: self.installed))
        nobody: Any = None
        settings = Settings(namespace="operator")
        self.index = OptionsIndex(kube)
        self.parallelism = Parallelism(kube, world, self.index, nobody, nobody, Metrics(), settings, lambda _: None)
        pods = PodApi()
        bare(pods, "p", "g", 2, 1, "gated")
        self.parallelism.board.pod_changed(None, msgspec.convert(pods.pods["p"], GatedPod))

    async def get(self, path: str, **_: Any) -> bytes:
        assert path == f"/apis/execution.dev/v1beta1/namespaces/{TEAM}/executionoptions/o"
        if isinstance(self.answer, ApiError):
            raise self.answer
        return self.answer

    async def ask(self) -> None:
        await self.parallelism._check_options((KEY, "o"))

    @property
    def limited(self) -> bool:
        return all(group.cap is not None for group in self.parallelism.board.groups.values())


async def test_options_that_the_api_server_does_not_have_limit_nobody() -> None:
    unsure = Unsure()
    assert unsure.limited
    await unsure.ask()
    assert not unsure.limited


@pytest.mark.parametrize("page", [b"404 page not found", b"<html>no such host</html>"])
async def test_a_proxy_does_not_know_that_options_are_gone(page: bytes) -> None:
    unsure = Unsure()
    unsure.answer = error_of(404, page)
    with pytest.raises(ApiError):
        await unsure.ask()
    assert unsure.limited


async def test_without_their_kind_no_options_limit_anybody() -> None:
    unsure = Unsure()
    unsure.answer, unsure.installed = error_of(404, b"404 page not found"), False
    await unsure.ask()
    assert not unsure.limited


@pytest.mark.parametrize(("uid", "limited"), [("o", True), ("another", False)])
async def test_options_of_that_name_have_to_be_read(uid: str, limited: bool) -> None:
    unsure = Unsure()
    metadata = {"name": "o", "namespace": TEAM, "uid": uid, "resourceVersion": "1"}
    unsure.answer = msgspec.json.encode({"metadata": metadata, "spec": {"maxParallelism": 2}})
    await unsure.ask()
    assert unsure.limited is limited
    assert unsure.index.get(KEY) is not None
