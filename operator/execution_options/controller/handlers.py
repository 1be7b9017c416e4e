"""The controller, as kopf runs it.

``execution-options controller`` runs these handlers, with the options of that command. So does plain kopf, with the
defaults of all options: ``kopf run -m execution_options.controller.handlers --all-namespaces``.

kopf watches what people write: options, channels, engines. Each object that it hands over is kept and enqueued. The
workers take it from there, retry what fails, and write only while this replica holds the Lease. Typed stores
(``kube.store``) follow what machines write (executions, pods, deliveries), because kopf decodes and copies whole
objects. All handlers are ``on.event``: other kinds put finalizers or annotations on objects that people keep in git.
"""

from __future__ import annotations

from typing import Any, Final

import kopf

from execution_options.api.names import (
    CHANNEL_PLURAL,
    CLUSTER_OPTIONS_KIND,
    ENGINE_PLURAL,
    GROUP,
    OPTIONS_KIND,
    PLURALS,
    VERSION,
)
from execution_options.controller import kopf_session
from execution_options.controller.process import Process
from execution_options.controller.runtime import LeaseLostError, Settings
from execution_options.install import SYSTEM_NAMESPACE
from execution_options.kube.access import NoClusterError
from execution_options.kube.client import Kube

REGISTRY: Final = kopf.get_default_registry()
"""The registry of the handlers."""
NO_RETRY: Final = kopf.ErrorsMode.PERMANENT
"""Ends the process with an error if it cannot start or stop in order."""


@kopf.on.startup(errors=NO_RETRY)
async def startup(settings: kopf.OperatorSettings, memo: kopf.Memo, **_: Any) -> None:
    """Start to follow the cluster, and to wait for the Lease."""
    kopf_session.quiet()
    kopf_session.configure(settings)
    if not settings.peering.clusterwide:
        raise kopf.PermanentError("the operator serves the whole cluster: run it with --all-namespaces")
    try:
        kube = memo.get("kube") or await Kube.connect()
    except NoClusterError as error:
        raise kopf.PermanentError(f"no cluster: {error}") from error
    try:
        memo.process = Process(kube, memo.get("settings") or Settings(namespace=SYSTEM_NAMESPACE, health_port=None))
        await memo.process.start()
        kopf_session.end_by(memo.get("stop"))
    except BaseException:
        await kube.close()
        raise


@kopf.on.login(backoff=5)
async def login(memo: kopf.Memo, **_: Any) -> kopf.AiohttpSession:
    """Connect kopf with the same credentials, proxy and user agent as the controller's own requests."""
    session: kopf.AiohttpSession = await memo.process.connect()
    return session


@kopf.on.event(GROUP, VERSION, PLURALS[OPTIONS_KIND])
async def options(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Options of a namespace were created, changed or deleted."""
    memo.process.parts.index.hand(OPTIONS_KIND, event["object"], deleted=event["type"] == "DELETED")


@kopf.on.event(GROUP, VERSION, PLURALS[CLUSTER_OPTIONS_KIND])
async def cluster_options(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """Options of the cluster were created, changed or deleted."""
    memo.process.parts.index.hand(CLUSTER_OPTIONS_KIND, event["object"], deleted=event["type"] == "DELETED")


@kopf.on.event(GROUP, VERSION, CHANNEL_PLURAL)
async def channels(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """A notification channel was created, changed or deleted."""
    memo.process.parts.directory.store.hand(event["object"], deleted=event["type"] == "DELETED")


@kopf.on.event(GROUP, VERSION, ENGINE_PLURAL)
async def engines(event: kopf.RawEvent, memo: kopf.Memo, **_: Any) -> None:
    """The description of an engine was created, changed or deleted."""
    memo.process.parts.engines.store.hand(event["object"], deleted=event["type"] == "DELETED")


@kopf.on.probe(errors=NO_RETRY)
async def healthy(memo: kopf.Memo, **_: Any) -> str:
    """For ``kopf run --liveness``: whether everything makes progress; the command has ``/healthz``."""
    late = memo.process.late()
    if late:
        raise kopf.PermanentError(late)
    return "ok"


@kopf.on.probe(errors=NO_RETRY)
async def waits_for(memo: kopf.Memo, **_: Any) -> str:
    """For ``kopf run --liveness``: what it waits for before it is ready; the command has ``/readyz``."""
    missing: str = memo.process.missing()
    return missing or "nothing"


@kopf.on.cleanup(errors=NO_RETRY)
async def cleanup(memo: kopf.Memo, **_: Any) -> None:
    """Finish what is in progress, and give the Lease back."""
    try:
        await memo.process.stop()
    except LeaseLostError as lost:
        raise kopf.PermanentError(str(lost)) from lost
