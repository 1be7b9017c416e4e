"""The server in front of the decision: what it answers when something is wrong."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web

from execution_options.engines.registry import builtin_engines
from execution_options.fairness import LARGE_WORK, Processor
from execution_options.health import health_app
from execution_options.kube.client import ApiError
from execution_options.webhook import metrics, review, server
from execution_options.webhook.server import admission_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from execution_options.engines.profile import Engine

REVIEW = {
    "request": {"uid": "u", "kind": {"group": "batch", "version": "v1", "kind": "Job"}, "operation": "CREATE"},
}


PASSED = review.allowed("u", [], [])


def written(namespace: str, thing: Any = None) -> bytes:
    """A review as an API server writes it."""
    head = REVIEW["request"]
    request = {"uid": "u", "kind": head["kind"], "namespace": namespace, "operation": "CREATE", "object": thing}
    return json.dumps({"request": request}, separators=(",", ":")).encode()


class Answers:
    """A handler that always gives the same answer, or fails in the same way."""

    def __init__(self, outcome: review.Answer | Exception = PASSED) -> None:
        self.outcome = outcome

    def engine(self, request: review.Request) -> Engine | None:
        return builtin_engines().of(request.kind.group, request.kind.kind)

    async def answer(self, _: review.Request) -> review.Answer:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield session
    finally:
        await runner.cleanup()


async def posted(outcome: review.Answer | Exception, body: Any = REVIEW) -> tuple[int, bytes]:
    handler: Any = Answers(outcome)
    async with served(admission_app(handler, handler)) as session:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with session.post("/executions", data=io.BytesIO(data)) as response:
            return response.status, await response.read()


def counted(result: str) -> float:
    labels = {"engine": "job", "operation": "CREATE", "result": result}
    return metrics.REGISTRY.get_sample_value("execution_options_admission_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        (review.allowed("u", [{"op": "remove", "path": "/a"}], []), "changed"),
        (review.allowed("u", [], ['"allowed":false and "patch"']), "unchanged"),
        (review.refused("u", '"patch"'), "refused"),
    ],
)
async def test_an_answer_is_passed_on_and_counted(outcome: review.Answer, result: str) -> None:
    before = counted(result)
    assert await posted(outcome) == (200, outcome.body)
    assert counted(result) == before + 1


@pytest.mark.parametrize(
    "error",
    [
        ApiError(500, "InternalError", "etcd"),
        aiohttp.ServerDisconnectedError(),
        TimeoutError(),
        ConnectionRefusedError(),
    ],
)
async def test_no_answer_of_the_api_server_is_left_to_the_failure_policy(error: Exception) -> None:
    before = counted("error")
    status, text = await posted(error)
    assert counted("error") == before + 1
    assert status == 503
    assert text == b"the options cannot be read at the moment"


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"{}", b'{"request": {"uid": "u"}}'])
async def test_what_is_no_review_is_a_bad_request(body: bytes) -> None:
    status, text = await posted(PASSED, body)
    assert status == 400
    assert text.startswith(b"no AdmissionReview")


async def test_two_large_objects_fit() -> None:
    large = {"request": {**REVIEW["request"], "object": {"a": "x" * 3_000_000}, "oldObject": {"a": "x" * 3_000_000}}}
    assert (await posted(PASSED, large))[0] == 200


DEEP = '{"f:a":' * 100_000 + "1" + "}" * 100_000


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (json.dumps({"request": REVIEW["request"] | {"object": "deep"}}).replace('"deep"', DEEP), "nested too deeply"),
        (json.dumps({"request": REVIEW["request"] | {"object": "x" * 9_000_000}}, separators=(",", ":")), "bytes"),
    ],
    ids=["deep", "large"],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(body: str, problem: str) -> None:
    status, answer = await posted(PASSED, body.encode())
    response = json.loads(answer)["response"]
    assert (status, response["uid"], response["allowed"]) == (200, "u", False)
    assert "the operator cannot read or patch this object" in response["status"]["message"]
    assert problem in response["status"]["message"]


async def test_few_large_bodies_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LARGE", 1000)
    under_way, most, answered = 0, 0, asyncio.Event()

    class Slow(Answers):
        async def answer(self, _: review.Request) -> review.Answer:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await answered.wait()
            under_way -= 1
            return PASSED

    handler: Any = Slow()
    async with served(admission_app(handler, handler)) as session:

        async def post(body: bytes) -> int:
            async with session.post("/executions", data=io.BytesIO(body)) as response:
                return response.status

        asked = [asyncio.create_task(post(written(f"team-{number}", "x" * 2000))) for number in range(6)]
        async with asyncio.timeout(10):
            while under_way < server.LARGE_AT_ONCE:  # noqa: ASYNC110 - no event shows it
                await asyncio.sleep(0.01)
        small = asyncio.create_task(post(json.dumps(REVIEW).encode()))
        async with asyncio.timeout(10):
            while under_way < server.LARGE_AT_ONCE + 1:  # noqa: ASYNC110 - a small one waits for none of them
                await asyncio.sleep(0.01)
        answered.set()
        assert await asyncio.gather(small, *asked) == [200] * 7
    assert most == server.LARGE_AT_ONCE + 1


async def until(check: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110 - no event shows it
            await asyncio.sleep(0.01)


class Held(Answers):
    """Answers by namespace, once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[str] = []
        self.may = asyncio.Event()

    async def answer(self, request: review.Request) -> review.Answer:
        self.begun.append(request.namespace)
        await self.may.wait()
        return PASSED


@pytest.mark.parametrize("size", [10, 3000], ids=["small", "large"])
async def test_a_namespace_never_has_all_room(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LARGE", 1000)
    for name in ("WAIT_SECONDS", "LARGE_SECONDS"):
        monkeypatch.setattr(server, name, 0.5)
    handler: Any = Held()
    async with served(admission_app(handler, handler)) as session:

        async def post(namespace: str) -> dict[str, Any]:
            async with session.post("/executions", data=io.BytesIO(written(namespace, "x" * size))) as response:
                answer: dict[str, Any] = json.loads(await response.read())["response"]
                return answer

        room = server.AT_ONCE_OF_ONE if size < server.LARGE else server.LARGE_AT_ONCE - 1
        noisy = [asyncio.create_task(post("noisy")) for _ in range(room + 3)]
        await until(lambda: len(handler.begun) == room)
        quiet = asyncio.create_task(post("quiet"))
        await until(lambda: "quiet" in handler.begun)
        await until(lambda: sum(one.done() for one in noisy) == 3)
        refused = [one.result() for one in noisy if one.done()]
        handler.may.set()
        answers = [quiet.result() if quiet.done() else await quiet, *await asyncio.gather(*noisy)]
    assert handler.begun.count("noisy") == room
    assert [one["status"]["code"] for one in refused] == [429] * 3
    assert "namespace noisy has so many requests under way" in refused[0]["status"]["message"]
    assert [one["allowed"] for one in answers].count(True) == 1 + room


async def test_a_quiet_namespace_is_decided_on_between_two_decisions_of_a_noisy_one() -> None:
    begun: list[str] = []

    class Busy(Answers):
        async def answer(self, request: review.Request) -> review.Answer:
            begun.append(request.namespace)
            time.sleep(0.01)  # a decision  # noqa: ASYNC251
            return PASSED

    handler: Any = Busy()
    async with served(admission_app(handler, handler)) as session:

        async def post(namespace: str) -> None:
            async with session.post("/executions", data=io.BytesIO(written(namespace))) as response:
                assert response.status == 200

        noisy = [asyncio.create_task(post("noisy")) for _ in range(60)]
        await until(lambda: begun)
        before = len(begun)
        await post("quiet")
        assert begun.index("quiet") - before < 20
        await asyncio.gather(*noisy)


async def test_who_waits_too_long_for_work_on_large_objects_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BUSY_SECONDS", 0.5)
    processor, may = Processor(), threading.Event()

    class Large(Answers):
        async def answer(self, request: review.Request) -> review.Answer:
            return await processor.run(request.namespace, LARGE_WORK, self.work)

        def work(self) -> review.Answer:
            assert may.wait(10)
            return PASSED

    handler: Any = Large()
    async with served(admission_app(handler, handler, processor=processor)) as session:

        async def post(namespace: str) -> dict[str, Any]:
            async with session.post("/executions", data=io.BytesIO(written(namespace))) as response:
                answer: dict[str, Any] = json.loads(await response.read())["response"]
                return answer

        asked = [asyncio.create_task(post(namespace)) for namespace in ("noisy", "noisy", "quiet")]
        await until(lambda: sum(one.done() for one in asked) == 2)
        refused = [one.result() for one in asked if one.done()]
        may.set()
        assert sum(answer["allowed"] for answer in await asyncio.gather(*asked)) == 1
        assert (await post("later"))["allowed"]
    assert {answer["status"]["code"] for answer in refused} == {429}
    assert all("has so many requests under way" in answer["status"]["message"] for answer in refused)


@pytest.mark.parametrize(
    ("body", "namespace"),
    [
        (written("team"), "team"),
        (json.dumps(REVIEW, separators=(",", ":")).encode(), ""),
        (b'{"request":{"operation":"CREATE","object":{"namespace":"forged","operation":"x"}}}', ""),
        (b'{"request":{"name":"a\\",\\"namespace\\":\\"forged","namespace":"team","operation":"CREATE"}}', "team"),
        (b"", ""),
    ],
)
def test_the_namespace_is_told_by_the_beginning_of_a_body(body: bytes, namespace: str) -> None:
    assert review.namespace_of(body) == namespace


async def test_more_than_an_api_server_sends_is_a_bad_request() -> None:
    assert (await posted(PASSED, b"x" * (server.MAX_DRAINED + 1)))[0] == 400


@pytest.mark.parametrize("error", [AttributeError("'int' object has no attribute 'items'"), RecursionError("too deep")])
async def test_an_object_that_trips_up_the_decision_is_refused(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    status, answer = await posted(error)
    response = json.loads(answer)["response"]
    assert (status, response["allowed"]) == (200, False)
    assert str(error) in response["status"]["message"]
    assert "Traceback" in caplog.text


async def test_readiness_says_what_is_missing() -> None:
    missing = "the options are not listed yet"
    async with served(health_app(lambda: "", lambda: missing, metrics.REGISTRY)) as session:
        async with session.get("/healthz") as healthy:
            assert healthy.status == 200
        async with session.get("/readyz") as ready:
            assert (ready.status, await ready.text()) == (503, missing)
        missing = ""
        async with session.get("/readyz") as ready:
            assert ready.status == 200
        async with session.get("/metrics") as page:
            assert "execution_options_admission_requests_total" in await page.text()
