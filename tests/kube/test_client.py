"""Errors of the API server, of proxies and of the network are distinguished."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from execution_options.kube.access import NoClusterError
from execution_options.kube.client import ApiError, Kube, error_of, path_of
from execution_options.kube.listing import get_if_exists
from support.listwatch import Collection, serving

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (b'{"kind":"Status","reason":"NotFound","message":"jobs \\"x\\" not found"}', "NotFound", 'jobs "x" not found'),
        (b'{"kind":"Status","message":"no reason"}', "Unknown", "no reason"),
        (b"404 page not found\n", "", "404 page not found\n"),
        (b"\xff\xfe", "", "\ufffd\ufffd"),
        (b"[]", "", "[]"),
        (b"", "", ""),
        (b"x" * 1000, "", "x" * 200),
    ],
)
def test_errors_of_the_api_server(body: bytes, reason: str, message: str) -> None:
    error = error_of(404, body)
    assert (error.status, error.reason, error.message) == (404, reason, message)
    assert str(error) == f"404 {reason or 'Unknown'}: {message}"


@pytest.mark.parametrize(
    ("status", "body", "certain"),
    [
        (404, b'{"kind":"Status","reason":"NotFound"}', True),
        (404, b"404 page not found", False),
        (404, b'{"message":"no Route matched with those values"}', False),
        (422, b'{"kind":"Status","reason":"Invalid"}', True),
        (403, b"<html>blocked</html>", False),
        (429, b"Too many requests, please try again later.", True),
        (500, b'{"kind":"Status","reason":"InternalError"}', False),
        (504, b'{"kind":"Status","reason":"Timeout"}', False),
    ],
)
def test_only_an_answer_of_the_api_server_proves_that_nothing_was_done(status: int, body: bytes, certain: bool) -> None:
    assert error_of(status, body).is_certain is certain


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("", "v1", "namespaces"), "/api/v1/namespaces"),
        (("", "v1", "namespaces", "", "team"), "/api/v1/namespaces/team"),
        (("batch", "v1", "jobs", "team", "x"), "/apis/batch/v1/namespaces/team/jobs/x"),
        (("", "v1", "serviceaccounts", "s", "w", "token"), "/api/v1/namespaces/s/serviceaccounts/w/token"),
    ],
)
def test_paths(parts: tuple[str, ...], expected: str) -> None:
    assert path_of(*parts) == expected


async def test_an_answer_that_is_not_json_is_an_error(tmp_path: Path) -> None:
    collection = Collection()
    collection.instead = "<html>Welcome</html>"
    async with serving(collection, tmp_path) as kube:
        with pytest.raises(aiohttp.ClientError, match="not the API server's answer: text/html"):
            await kube.get(collection.path)


async def test_requests(tmp_path: Path) -> None:
    collection = Collection()
    collection.put("a")
    async with serving(collection, tmp_path) as kube:
        assert b'"a"' in await kube.get(collection.path)
        with pytest.raises(ApiError, match="404"):
            await kube.get("/nothing/here")
        collection.hang = True
        with pytest.raises(TimeoutError):
            await kube.get(collection.path, seconds=0.05)


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, b"{}", b"{}"),
        (404, b'{"kind":"Status","reason":"NotFound"}', None),
        (404, b"404 page not found", ApiError),
        (403, b'{"kind":"Status","reason":"Forbidden"}', ApiError),
    ],
)
async def test_only_the_api_server_can_report_that_an_object_does_not_exist(
    status: int, body: bytes, found: Any
) -> None:
    class Answering:
        async def get(self, _path: str) -> bytes:
            if status != 200:
                raise error_of(status, body)
            return body

    kube: Any = Answering()
    if found is ApiError:
        with pytest.raises(ApiError):
            await get_if_exists(kube, "/path")
    else:
        assert await get_if_exists(kube, "/path") == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no kubeconfig"),
        (b"", "is no kubeconfig"),
        (b"{}", "current-context"),
        (b"text", "is no kubeconfig"),
        (b"a: [b", "is no kubeconfig: while parsing a flow sequence"),
        (b"\xff\xfe\x00", "is no kubeconfig"),
    ],
)
async def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(NoClusterError, match=message):
        await Kube.connect(file)


async def test_no_kubeconfig_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'a'}:{tmp_path / 'b'}")
    with pytest.raises(NoClusterError, match=f"there is no kubeconfig {tmp_path / 'a'}, {tmp_path / 'b'}"):
        await Kube.connect()
