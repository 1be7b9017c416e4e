"""The API server calls a webhook whose certificates change all the time."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from execution_options.certificates.material import authorities, parse
from execution_options.kube.client import MERGE_PATCH, path_of
from execution_options.kube.encoding import JSON_PATCH

from .conftest import FAST, SECRET, Site, eventually

if TYPE_CHECKING:
    from execution_options.cluster import ControlPlane

pytestmark = [pytest.mark.e2e, pytest.mark.long]

SECONDS = 60.0


async def ready(site: Site, count: int = 1, **options: Any) -> list[Any]:
    """So many replicas, serving and ready, and called by the API server."""
    managers = [site.manager(**options) for _ in range(count)]
    for manager in managers:
        await site.serve(manager)
    await site.configure()
    for manager in managers:
        await site.run(manager)
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(manager.ready.wait() for manager in managers))
    await eventually(site.works)
    return managers


async def test_no_request_is_refused_while_certificates_and_authorities_are_replaced(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await ready(site, 2, policy=FAST, poll=timedelta(seconds=0.3))
    certificates: set[str] = set()
    signers: set[str] = set()

    async def follow() -> None:
        while True:
            data = (await site.secret())["data"]
            certificates.add(data["tls.crt"])
            signers.add(data["ca.crt"])
            await asyncio.sleep(0.1)

    following = asyncio.create_task(follow())
    admitted, refused = await site.load(lambda: following.done() or len(signers) >= 4)
    following.cancel()
    print(f"{admitted} admitted, {site.calls} handshakes, {len(certificates)} certificates, {len(signers)} CAs")
    assert refused == []
    assert site.calls >= 2 * admitted > 100
    assert len(certificates) >= 6
    assert [record.message for record in caplog.records if record.levelname not in ("INFO", "DEBUG")] == []
    assert "PRIVATE" not in caplog.text


async def test_replicas_that_start_at_once_agree(site: Site) -> None:
    managers = await ready(site, 4)
    material, problems = parse({key: base64.b64decode(value) for key, value in (await site.secret())["data"].items()})
    assert problems == []
    assert material.serving is not None
    assert {manager.serving for manager in managers} == {material.serving.certificate}
    assert await site.bundles() == {material.bundle}
    assert len(material.trusted) == 1


@pytest.mark.parametrize("bundle", [b"", b"garbled"])
async def test_a_bundle_that_someone_overwrote_is_repaired_at_once(site: Site, bundle: bytes) -> None:
    await ready(site, 2)
    good = await site.bundles()
    value = base64.b64encode(bundle).decode()
    patch = [{"op": "replace", "path": "/webhooks/1/clientConfig/caBundle", "value": value}]
    began = asyncio.get_running_loop().time()
    await site.kube.patch(site.target.path, patch, JSON_PATCH)

    async def repaired() -> bool:
        return await site.bundles() == good

    await eventually(repaired)
    print(f"repaired within {asyncio.get_running_loop().time() - began:.3f} s")
    await eventually(site.works)


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt", "ca.key", "retired-ca.crt"])
async def test_a_garbled_secret_is_replaced_without_a_refused_request(
    site: Site, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    await ready(site, 2, poll=timedelta(seconds=0.3))
    before = (await site.secret())["data"]
    garbage = base64.b64encode(b"-----BEGIN garbage").decode()
    await site.kube.patch(
        path_of("", "v1", "secrets", site.namespace, SECRET),
        {"data": {key: garbage, "foreign": garbage}, "metadata": {"labels": {"owner": "someone"}}},
        MERGE_PATCH,
    )
    secret: dict[str, Any] = {}

    async def replaced() -> bool:
        secret.update(await site.secret())
        data = {name: base64.b64decode(value) for name, value in secret["data"].items()}
        material, problems = parse(data)
        # Where the authority was lost, it is replaced in turn.
        turned = not key.startswith("ca.") or secret["data"]["ca.crt"] != before["ca.crt"]
        return not problems and turned and material.serving is not None and await site.bundles() == {material.bundle}

    waiting = asyncio.create_task(eventually(replaced))
    _, refused = await site.load(waiting.done)
    await waiting
    assert refused == []
    assert secret["data"]["foreign"] == garbage
    assert secret["metadata"]["labels"] == {"owner": "someone"}
    assert f"Secret {site.namespace}/{SECRET} is garbled and replaced: {key}" in caplog.text
    assert "PRIVATE" not in caplog.text


async def test_a_deleted_secret_gets_a_new_authority_without_a_refused_request(site: Site) -> None:
    managers = await ready(site, 2, poll=timedelta(seconds=0.3))
    before = managers[0].serving
    await site.kube.delete(path_of("", "v1", "secrets", site.namespace, SECRET))
    _, refused = await site.load(lambda: all(manager.serving != before for manager in managers))
    assert refused == []
    assert len(authorities((await site.bundles()).pop())) == 2


async def test_a_configuration_that_does_not_exist_yet_is_waited_for(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    manager = site.manager(poll=timedelta(seconds=0.1))
    await site.serve(manager)
    await site.run(manager)
    reads = 0
    read = site.kube.get

    async def counted(path: str, **options: Any) -> bytes:
        nonlocal reads
        reads += path == site.target.path
        return await read(path, **options)

    monkeypatch.setattr(site.kube, "get", counted)

    async def looked_often() -> bool:
        return manager.served.is_set() and reads > 5

    await eventually(looked_often)
    assert not manager.ready.is_set()
    assert caplog.text.count("does not exist yet") == 1
    await site.configure()
    async with asyncio.timeout(SECONDS):
        await manager.ready.wait()
    await eventually(site.works)


async def test_an_empty_secret_that_exists_is_filled(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "annotations": {"kept": "yes"}}}
    await site.kube.create(path_of("", "v1", "secrets", site.namespace), body)
    await ready(site)
    assert (await site.secret())["metadata"]["annotations"] == {"kept": "yes"}
    assert "garbled" not in caplog.text


async def test_what_the_api_server_says_of_a_secret_that_it_refuses_is_not_repeated(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "immutable": True}
    await site.kube.create(path_of("", "v1", "secrets", site.namespace), body)
    await site.run(site.manager())

    async def is_logged() -> bool:
        return f"422 Invalid: Secret {site.namespace}/{SECRET} was not accepted" in caplog.text

    await eventually(is_logged)


async def test_an_api_server_that_dies_is_waited_for(
    site: Site, embedded: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    managers = await ready(site, 2, policy=FAST, poll=timedelta(seconds=0.3))
    await asyncio.to_thread(embedded.restart_component, "kube-apiserver")
    before = managers[0].serving

    async def renewed() -> bool:
        return all(manager.serving != before for manager in managers) and await site.works()

    await eventually(renewed)
    assert all(record.levelname != "ERROR" for record in caplog.records)
    assert "PRIVATE" not in caplog.text
