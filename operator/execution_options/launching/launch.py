"""``launch`` and ``register``: executions and launch plans with options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api import decoding
from execution_options.api.names import FIELD_MANAGER
from execution_options.engines.registry import builtin_engines
from execution_options.kube.access import find
from execution_options.kube.client import APPLY_PATCH, Kube, path_of
from execution_options.kube.engines import read_engines
from execution_options.launching.errors import translated
from execution_options.launching.execution import AsyncExecution, Execution, run
from execution_options.launching.manifest import spec_of, with_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from execution_options.engines.profile import Engine
    from execution_options.engines.registry import Engines
    from execution_options.launching.manifest import Workflow
    from execution_options.sdk.options import Options

MANAGER = f"{FIELD_MANAGER}-launch"


async def alaunch(
    workflow: Workflow,
    options: Options | Mapping[str, Any] | object | None = None,
    *,
    namespace: str | None = None,
    references: Sequence[str] = (),
    name: str | None = None,
    generate_name: str | None = None,
    wait: bool = False,
    kubeconfig: Path | None = None,
    context: str | None = None,
) -> AsyncExecution:
    """Launch a workflow with options, on the engine of its kind.

    Args:
        workflow: a manifest: a dict, YAML text, a path, or an object of Hera or of the kubernetes client.
        options: ``Options`` of this package or of flytekit, or a spec as a dict; for this execution alone.
        namespace: instead of the manifest's; ``None``: that, or the context's.
        references: names of options to refer to; a later one wins, ``options`` win over all.
        name: instead of the manifest's.
        generate_name: what a unique name begins with, instead of the manifest's name.
        wait: whether to wait until it has ended.
        kubeconfig: of the cluster; ``None``: the pod's own service account, else kubectl's.
        context: of the kubeconfig; ``None``: its current one.

    Raises:
        ValueError: the manifest or the options are not valid; nothing was sent.
        TypeError: the options are of another type.
        LaunchError: the cluster refuses it, or does not answer.
    """
    document = with_options(workflow, spec_of(options), references, name=name, generate_name=generate_name)
    with translated():
        access = await find(kubeconfig, context)
        async with Kube(access) as kube:
            group, version = _api(document)
            engine = await _engine(kube, group, document["kind"])
            where = namespace or document["metadata"].get("namespace") or access.namespace
            document["metadata"]["namespace"] = where
            collection = path_of(group, version, engine.plural, where)
            answer = await kube.create(collection, document, params={"fieldManager": MANAGER})
    execution = AsyncExecution(access, engine, collection, decoding.read_object(answer))
    if wait:
        await execution.wait()
    return execution


def launch(
    workflow: Workflow,
    options: Options | Mapping[str, Any] | object | None = None,
    *,
    namespace: str | None = None,
    references: Sequence[str] = (),
    name: str | None = None,
    generate_name: str | None = None,
    wait: bool = False,
    kubeconfig: Path | None = None,
    context: str | None = None,
) -> Execution:
    """Launch a workflow with options; takes and raises the same as :func:`alaunch`."""
    return Execution(
        run(
            alaunch(
                workflow,
                options,
                namespace=namespace,
                references=references,
                name=name,
                generate_name=generate_name,
                wait=wait,
                kubeconfig=kubeconfig,
                context=context,
            )
        )
    )


def register(
    launch_plan: Workflow,
    options: Options | Mapping[str, Any] | object | None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    references: Sequence[str] = (),
    kubeconfig: Path | None = None,
    context: str | None = None,
) -> str:
    """Create or update a launch plan with options for all that it starts.

    Args:
        launch_plan: its manifest, as :func:`alaunch` takes one: a CronJob, CronWorkflow, RayCronJob or
            ScheduledSparkApplication; it needs a name.
        options: for all that it starts.
        name: instead of the manifest's.
        namespace: instead of the manifest's.
        references: names of options to refer to.
        kubeconfig: of the cluster; ``None``: the pod's own service account, else kubectl's.
        context: of the kubeconfig; ``None``: its current one.

    Returns:
        Its name.

    Raises:
        ValueError: the manifest or the options are not valid; nothing was sent.
        LaunchError: the cluster refuses it, or does not answer.
    """
    document = with_options(launch_plan, spec_of(options), references, name=name)
    if not (known := document["metadata"].get("name")):
        raise ValueError("metadata.name is missing: a launch plan that is registered again is found by its name")
    return run(_register(document, known, namespace, kubeconfig, context))


async def _register(
    document: dict[str, Any], name: str, namespace: str | None, kubeconfig: Path | None, context: str | None
) -> str:
    with translated():
        access = await find(kubeconfig, context)
        async with Kube(access) as kube:
            group, version = _api(document)
            plural = await _plan(kube, group, document["kind"])
            where = namespace or document["metadata"].get("namespace") or access.namespace
            document["metadata"]["namespace"] = where
            params = {"fieldManager": MANAGER, "force": "true"}
            await kube.patch(path_of(group, version, plural, where, name), document, APPLY_PATCH, params=params)
    return name


async def _engine(kube: Kube, group: str, kind: str) -> Engine:
    """The engine of a kind; those of the cluster are read for a kind that is not built in."""
    engines = builtin_engines()
    if engines.of(group, kind) is None and _launched(engines, group, kind) is None:
        engines = await read_engines(kube)
    if (engine := engines.of(group, kind)) is not None:
        return engine
    if _launched(engines, group, kind) is not None:
        raise ValueError(f"{kind} is a launch plan: register() it, and launch what it starts")
    known = ", ".join(sorted(engine.kind for engine in engines.values()))
    raise ValueError(f"{kind} of {group or 'the core group'} is no execution of a known engine; known are {known}")


async def _plan(kube: Kube, group: str, kind: str) -> str:
    """The plural of a kind of launch plans."""
    plural = _launched(builtin_engines(), group, kind) or _launched(await read_engines(kube), group, kind)
    if plural is None:
        raise ValueError(f"{kind} is no launch plan of a known engine: launch() it, where it is an execution")
    return plural


def _launched(engines: Engines, group: str, kind: str) -> str | None:
    plans = (plan for engine in engines.values() for plan in engine.launch_plans)
    return next((plan.plural for plan in plans if (plan.group, plan.kind) == (group, kind)), None)


def _api(document: Mapping[str, Any]) -> tuple[str, str]:
    group, _, version = document["apiVersion"].rpartition("/")
    return group, version
