"""Who runs at the same time, by the API server's own account of every change."""

from __future__ import annotations

import json
import threading
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import urllib3
from kubernetes.config import new_client_from_config

from execution_options.kube.client import path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from execution_options.cluster import Cluster

Manifest = dict[str, Any]


class Step(NamedTuple):
    """How many pods of an execution ran after a change."""

    version: str
    """Resource version of the pod that began or ended."""
    running: int


class Concurrency:
    """Watches the pods of a namespace, apart from the operator; use as a context manager.

    A pod counts from the moment at which it has no scheduling gate until it has ended or is gone. Events come in the
    order of the changes, so that no overshoot is missed, however short.

    Attributes:
        now: how many pods run, by execution.
        most: the most that ever ran at the same time, by execution.
        ended: how many pods have succeeded, by execution.
        order: names of pods in the order in which they lost their gates.
        steps: how many ran at each resource version at which that changed, by execution.
    """

    def __init__(self, cluster: Cluster, namespace: str, execution: Callable[[Manifest], str | None]) -> None:
        self._client = new_client_from_config(config_file=str(cluster.kubeconfig), context=cluster.context)
        self._path = path_of("", "v1", "pods", namespace)
        self._execution = execution
        self._running: defaultdict[str, set[str]] = defaultdict(set)
        self._done: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._problem: Exception | None = None
        self.most: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.order: list[str] = []
        self.steps: defaultdict[str, list[Step]] = defaultdict(list)

    @property
    def now(self) -> dict[str, int]:
        return {execution: len(pods) for execution, pods in self._running.items()}

    @property
    def done(self) -> int:
        """How many pods have succeeded in all."""
        assert self._problem is None, self._problem
        return sum(self.ended.values())

    def over(self, caps: Mapping[str, int]) -> dict[str, list[Step]]:
        """Where more ran than the cap of an execution allows; empty where none ever did."""
        exceeding = {name: [step for step in self.steps[name] if step.running > cap] for name, cap in caps.items()}
        return {name: steps for name, steps in exceeding.items() if steps}

    def __enter__(self) -> Self:
        listed = json.loads(self._get().data)
        for item in listed.get("items", ()):
            self._see("ADDED", item)
        self._version = listed["metadata"]["resourceVersion"]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(30)
        self._client.rest_client.pool_manager.clear()
        self._client.close()
        assert self._problem is None, self._problem

    def _get(self, query: str = "", **options: Any) -> urllib3.BaseHTTPResponse:
        configuration = self._client.configuration
        token = configuration.get_api_key_with_prefix("authorization")
        response: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
            "GET",
            f"{configuration.host}{self._path}{query}",
            headers={"Authorization": token} if token else {},
            **options,
        )
        return response

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                query = f"?watch=true&timeoutSeconds=2&resourceVersion={self._version}"
                stream = self._get(query, preload_content=False, timeout=urllib3.Timeout(connect=10, read=60))
                pending = b""
                for chunk in stream.stream(2**16):
                    *lines, pending = (pending + chunk).split(b"\n")
                    for line in lines:
                        self._apply(json.loads(line))
                stream.release_conn()
        except Exception as problem:
            self._problem = problem

    def _apply(self, event: Manifest) -> None:
        item = event["object"]
        assert event["type"] != "ERROR", item
        self._version = item["metadata"]["resourceVersion"]
        self._see(event["type"], item)

    def _see(self, kind: str, pod: Manifest) -> None:
        execution = self._execution(pod)
        if execution is None:
            return
        uid, phase = pod["metadata"]["uid"], pod.get("status", {}).get("phase")
        running = self._running[execution]
        if kind == "DELETED" or phase in ("Succeeded", "Failed"):
            if uid in running:
                running.discard(uid)
                self.steps[execution].append(Step(pod["metadata"]["resourceVersion"], len(running)))
            if phase == "Succeeded" and uid not in self._done:
                self._done.add(uid)
                self.ended[execution] += 1
        elif not pod["spec"].get("schedulingGates") and uid not in running:
            running.add(uid)
            self.order.append(pod["metadata"]["name"])
            self.steps[execution].append(Step(pod["metadata"]["resourceVersion"], len(running)))
            self.most[execution] = max(self.most[execution], len(running))
