"""A pod is left to Kueue once Kueue has it, whatever happens to the requests, and never otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from msgspec import convert

from execution_options.api.names import GATE, GATED, LEFT_TO_KUEUE
from execution_options.controller.parallelism.kueue import Kueue
from execution_options.controller.runtime.lease import LeaseLostError
from execution_options.controller.runtime.metrics import Metrics
from execution_options.controller.runtime.writer import Writer
from execution_options.kube.client import ApiError
from execution_options.parallelism.pods import GatedPod
from support.rfc6902 import apply

if TYPE_CHECKING:
    from collections.abc import Callable

OURS, KUEUES, OTHER = GATE, "kueue.x-k8s.io/admission", "example.com/other"
KEY = ("team", "p")


def pod(*gates: str, uid: str = "u") -> dict[str, Any]:
    metadata = {"name": "p", "namespace": "team", "uid": uid, "labels": {GATE: GATED}}
    return {"metadata": metadata, "spec": {"schedulingGates": [{"name": gate} for gate in gates]}}


class Api:
    """One pod, and what happens before and after a request for it is carried out."""

    server = "http://nowhere"

    def __init__(self, found: dict[str, Any] | None) -> None:
        self.pod = found
        self.patches = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    async def get(self, path: str, **_: Any) -> bytes:
        if self.pod is None:
            raise ApiError(404, "NotFound", path)
        return msgspec.json.encode(self.pod)

    async def request(self, method: str, path: str, *, body: list[dict[str, Any]], **_: Any) -> bytes:
        assert method == "PATCH"
        self.patches += 1
        self.before()
        if self.pod is None:
            raise ApiError(404, "NotFound", path)
        try:
            self.pod = apply(self.pod, body)
        except AssertionError as error:
            raise ApiError(422, "Invalid", str(error)) from error
        self.after()
        return msgspec.json.encode(self.pod)

    @property
    def gates(self) -> list[str]:
        assert self.pod is not None
        return [gate["name"] for gate in self.pod["spec"]["schedulingGates"]]

    @property
    def label(self) -> str:
        assert self.pod is not None
        found: str = self.pod["metadata"]["labels"][GATE]
        return found


def kueue(api: Any, *, holds: bool = True) -> Kueue:
    return Kueue(api, Writer(api, lambda: holds, 1.0), Metrics())


@pytest.mark.parametrize("gates", [(OURS, KUEUES), (OTHER, OURS, "kueue.x-k8s.io/topology")])
async def test_our_gate_goes_and_the_label_says_so(gates: tuple[str, ...]) -> None:
    api = Api(pod(*gates))
    await kueue(api).leave(KEY)
    assert api.gates == [gate for gate in gates if gate != OURS]
    assert api.label == LEFT_TO_KUEUE


@pytest.mark.parametrize("gates", [(OURS,), (OURS, OTHER), (KUEUES,), ()])
async def test_a_pod_that_kueue_has_let_go_stays_ours_and_one_that_is_left_stays_kueues(gates: tuple[str, ...]) -> None:
    api = Api(pod(*gates))
    await kueue(api).leave(KEY)
    assert api.patches == 0
    assert api.gates == list(gates)


async def test_a_pod_that_is_gone_is_nothing_to_speak_of() -> None:
    api = Api(None)
    await kueue(api).leave(KEY)
    api = Api(pod(OURS, KUEUES))
    api.before = lambda: setattr(api, "pod", None)
    await kueue(api).leave(KEY)
    assert api.patches == 1


async def test_between_reading_and_writing_kueue_may_let_it_go_or_another_take_its_place() -> None:
    for instead in (pod(OURS), pod(OURS, KUEUES, uid="v")):
        api = Api(pod(OURS, KUEUES))
        api.before = lambda api=api, instead=instead: setattr(api, "pod", instead)  # type: ignore[misc]
        with pytest.raises(ApiError):
            await kueue(api).leave(KEY)
        assert api.pod == instead


async def test_an_answer_that_got_lost_is_asked_for_again() -> None:
    def lost() -> None:
        raise TimeoutError

    api = Api(pod(OURS, KUEUES))
    api.after = lost
    with pytest.raises(TimeoutError):
        await kueue(api).leave(KEY)
    await kueue(api).leave(KEY)
    assert api.patches == 1
    assert (api.gates, api.label) == ([KUEUES], LEFT_TO_KUEUE)


async def test_without_the_lease_nothing_is_written() -> None:
    api = Api(pod(OURS, KUEUES))
    with pytest.raises(LeaseLostError):
        await kueue(api, holds=False).leave(KEY)
    assert api.patches == 0


def test_which_pods_are_to_be_left_is_seen_by_their_gates_alone() -> None:
    def gates(document: dict[str, Any]) -> tuple[str, ...]:
        return convert(document, GatedPod).gates

    assert gates(pod(OURS, KUEUES)) == (OURS, KUEUES)
    queued = pod(OURS)
    queued["metadata"]["labels"] |= {"kueue.x-k8s.io/queue-name": "q", "kueue.x-k8s.io/managed": "true"}
    assert gates(queued) == gates(pod(OURS, OTHER)) == gates(pod(KUEUES)) == ()
