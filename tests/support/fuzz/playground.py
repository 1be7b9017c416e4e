"""A namespace in which stories are played, and what must hold of the operator meanwhile and afterwards."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from execution_options.api.names import NOTIFICATIONS_FINALIZER, OPTIONS_KIND
from execution_options.kube.client import path_of
from support.fuzz.stories import CANARY_LABEL, FINALIZER, KINDS, Step
from support.fuzz.values import DEEP, LEVELS, Change, changed
from support.team import RefusedError
from support.users import TYPES
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Callable

    from execution_options.local import LocalOperator
    from support.fuzz.stories import Kind, Manifest, Story
    from support.team import Team

ENFORCED = "fuzz.example.com/enforced"
KEPT = {"fuzz.example.com/kept": "true"}
"""Label of what stories leave alone."""
TENANT = "fuzz-tenant"
_CHART = Path(__file__).parents[3] / "charts" / "execution-options" / "values.yaml"
_SUSPICIOUS = re.compile(r"Traceback|unexpected|never retrieved|was destroyed| (ERROR|CRITICAL) ")
_PATIENCE = 60.0
"""Seconds for what takes one or two on a machine with nothing else to do."""
_AT_ONCE = "propagationPolicy=Background&gracePeriodSeconds=0"
_DEEP_TREE = '{"f:a":' * LEVELS + "{}" + "}" * LEVELS
_CLUSTERS_OWN = ("default", "kube-root-ca.crt", "execution-options-artifacts")
"""What every namespace has, and what the operator keeps there."""
_ALWAYS = ("Job", "Pod", "NotificationDelivery")
"""Kinds whose objects others create."""


class BrokenError(AssertionError):
    """Something does not hold."""


class Playground:
    """Where stories are played.

    Args:
        operator: both processes.
        team: the namespace of the stories.
        canary: a namespace that has nothing to do with them.
    """

    def __init__(self, operator: LocalOperator, team: Team, canary: Team) -> None:
        self._operator, self._team, self._canary = operator, team, canary
        self._uids: dict[tuple[str, str], str] = {}
        self._count = 0
        self.answers: dict[int, int] = {}
        """How often each status was answered."""
        self.slowest = self.peak = 0.0
        limits = yaml.safe_load(_CHART.read_text())
        self._bytes = {
            name: int(limits[name]["resources"]["limits"]["memory"].removesuffix("Mi")) << 20
            for name in ("webhook", "controller")
        }
        self._read = dict.fromkeys(operator.processes, 0)
        self._prepare()

    def play(self, story: Story) -> None:
        """Send all requests of a story, see that everything holds, and remove what it left.

        Raises:
            BrokenError: something does not.
        """
        self._revive()
        try:
            for step in story:
                self._send(step)
            self._check(story)
        finally:
            self._clean(story)

    def summary(self) -> str:
        """What was played so far, in numbers."""
        answers = ", ".join(f"{count} x {status}" for status, count in sorted(self.answers.items()))
        return (
            f"{self._count} stories, answers {answers}; slowest {self.slowest:.1f} s, most {self.peak / 2**20:.0f} MiB"
        )

    # Requests

    def _prepare(self) -> None:
        for team in (self._team, self._canary):
            team.options("enforced", {"selector": {}, "mode": "Enforce", "labels": {ENFORCED: "0"}})
            team.merge(OPTIONS_KIND, "enforced", {"metadata": {"labels": KEPT}})
        self._team.label_namespace(pods="enabled")
        self._canary.request(
            "PATCH",
            path_of("", "v1", "namespaces", "", self._canary.namespace),
            {"metadata": {"labels": {CANARY_LABEL: "true"}}},
            TYPES["PATCH"],
        )
        hard = {"pods": "12", "count/jobs.batch": "20"}  # a Job of billions of pods makes no more than these
        quota = {"metadata": {"name": "kept", "labels": KEPT}, "spec": {"hard": hard}}
        self._team.request("POST", path_of("", "v1", "resourcequotas", self._team.namespace), quota)
        self._team.kubectl("create", "rolebinding", "kept", "--clusterrole=cluster-admin", f"--user={TENANT}")

    def _path(self, kind: Kind, name: str = "", subresource: str = "") -> str:
        group, _, version = kind.api_version.rpartition("/")
        return path_of(group, version, kind.plural, self._team.namespace if kind.namespaced else "", name, subresource)

    def _named(self, kind: Kind, name: str) -> str:
        if kind.kind == "Namespace":
            return self._team.namespace
        if kind.kind == "ConfigMap" and name == "a":
            return "artifact-repositories"
        return name if kind.namespaced else f"{self._team.namespace}-{name}"

    def _send(self, step: Step) -> None:
        kind = KINDS[step.kind]
        name, sample = self._named(kind, step.name), kind.samples[step.sample]
        manifest = {**sample, "metadata": {**sample.get("metadata", {}), "name": name}}
        method, content, subresource, query = "PATCH", TYPES["PATCH"], "", []
        body: Any = None
        match step.action:
            case "create":
                method, content, body, name = "POST", "application/json", changed(manifest, step.changes), ""
            case "apply":
                content, body = TYPES["APPLY"], changed(manifest, step.changes)
                query += ["fieldManager=fuzz", "force=true"]
            case "merge":
                body = changed({}, step.changes)
            case "replace" | "status":
                subresource = "status" if step.action == "status" else ""
                method, content, stored = "PUT", "application/json", self._ask("GET", self._path(kind, name))
                if stored is None:
                    return
                body = changed(stored, step.changes)
            case "scale":
                subresource, body = "scale", changed({"spec": {"replicas": 1}}, step.changes)
            case "bind":
                method, content, subresource = "POST", "application/json", "binding"
                binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
                body = changed({**binding, "target": {"kind": "Node", "name": "no-node"}}, step.changes)
            case "delete":
                method = "DELETE"
                query.append(_AT_ONCE)
        if step.dry_run:
            query.append("dryRun=All")
        path = self._path(kind, name, subresource) + ("?" + "&".join(query) if query else "")
        answer = self._ask(method, path, None if body is None else self._fenced(kind, body), content, step.admin)
        if answer is not None and step.action != "delete" and not step.dry_run:
            self._uids[step.kind, step.name] = answer["metadata"].get("uid", "")

    def _fenced(self, kind: Kind, body: Any) -> Any:
        """A body that reaches nothing outside of the namespace, and leaves that alive."""
        if kind.kind == "Namespace":  # it would be collected with an owner that does not exist
            return changed(body, (Change(("metadata", "ownerReferences"), absent=True),))
        if kind.kind == "ClusterExecutionOptions" and isinstance(body.get("spec"), dict):
            selector = body["spec"].get("namespaceSelector") or {}
            if isinstance(selector, dict) and isinstance(selector.get("matchExpressions", []), list):
                outside = {"key": CANARY_LABEL, "operator": "DoesNotExist"}
                expressions = [*selector.get("matchExpressions", []), outside]
                return changed(
                    body, [Change(("spec", "namespaceSelector"), {**selector, "matchExpressions": expressions})]
                )
        return body

    def _ask(
        self, method: str, path: str, body: Any = None, content: str = "application/json", admin: bool = True
    ) -> Manifest | None:
        """An answer, or None where it is a refusal.

        Raises:
            BrokenError: the operator is why the API server could not answer.
        """
        text = None if body is None else self._written(body)
        separator = "&" if "?" in path else "?"
        began = time.monotonic()
        try:
            answer = self._team.request(
                method,
                path if method == "GET" else f"{path}{separator}timeout=30s",
                text,
                content,
                user="" if admin else TENANT,
            )
            status = 200
        except RefusedError as refused:
            answer, status = None, refused.status
            # So begins what it says of a webhook that does not answer, or whose patch does not apply.
            if status >= 500 and str(refused).startswith("Internal error occurred"):
                raise BrokenError(f"{method} {path}: {refused.status} {refused}") from refused
        finally:
            self.slowest = max(self.slowest, time.monotonic() - began)
        self.answers[status] = self.answers.get(status, 0) + 1
        return answer

    def _written(self, body: Any) -> bytes:
        text = json.dumps(body).replace(json.dumps(DEEP), _DEEP_TREE)
        for (kind, name), uid in self._uids.items():
            text = text.replace(f"<uid of {kind}/{name}>", uid)
        return text.encode()

    # What must hold

    def _revive(self) -> None:
        """Start what a story before ended, so that a failing one can be made smaller."""
        for name, process in self._operator.processes.items():
            if process.poll() is not None:
                self._operator.start(name)
                self._operator.wait_ready(name)
        self._read = {name: len(self._operator.log(name)) for name in self._read}

    def _check(self, story: Story) -> None:
        began = time.monotonic()
        self._processes_live()
        self._canary_is_served()
        self._enforced_values_are_there(story)
        self._status_follows(story)
        self._logs_are_quiet()
        self.slowest = max(self.slowest, time.monotonic() - began)

    def _processes_live(self) -> None:
        for name, process in self._operator.processes.items():
            if process.poll() is not None:
                raise BrokenError(f"the {name} ended:\n{self._operator.log(name)[-4000:]}")
            peak = int(re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[0]) << 10
            self.peak = max(self.peak, peak)
            if peak > self._bytes[name]:
                raise BrokenError(f"the {name} took {peak >> 20} MiB")
            for probe in ("/healthz", "/readyz"):
                try:
                    with urllib.request.urlopen(self._operator.url(name, probe), timeout=_PATIENCE):
                        pass
                except urllib.error.HTTPError as error:
                    with error:
                        raise BrokenError(f"{probe} of the {name}: {error.read().decode()}") from error

    def _canary_is_served(self) -> None:
        self._count += 1
        name, value = f"canary-{self._count}", str(self._count)
        made = self._canary.create(job(name, spec={"suspend": True}))
        if ENFORCED not in made["metadata"].get("labels", {}):
            raise BrokenError("an execution of another namespace did not get its options")
        self._canary.merge(OPTIONS_KIND, "enforced", {"spec": {"labels": {ENFORCED: value}}})
        eventually(lambda: self._canary.get("Job", name)["metadata"]["labels"][ENFORCED] == value, timeout=_PATIENCE)
        self._canary.request("DELETE", f"{self._canary.path('Job', name)}?{_AT_ONCE}")

    def _items(self, kind: Kind) -> list[Manifest]:
        """The objects of a kind that stories made, or that came of them."""
        listed = self._ask("GET", self._path(kind)) or {}
        found = []
        for one in listed["items"]:
            name, labels = one["metadata"]["name"], one["metadata"].get("labels", {})
            reached = kind.namespaced or name.startswith(self._team.namespace)
            if reached and name not in _CLUSTERS_OWN and not KEPT.items() <= labels.items():
                found.append(one)
        return found

    def _enforced_values_are_there(self, story: Story) -> None:
        relabelled = any(step.kind == "Namespace" for step in story)

        def without() -> list[str]:
            missing = []
            for name in {step.kind for step in story} | {"Job", "Pod"}:
                kind = KINDS[name]
                if not kind.execution or (name == "Pod" and relabelled):
                    continue
                for one in self._items(kind):
                    metadata = one["metadata"]
                    controlled = any(owner.get("controller") for owner in metadata.get("ownerReferences", ()))
                    if controlled or "deletionTimestamp" in metadata or ENFORCED in metadata.get("labels", {}):
                        continue
                    missing.append(f"{name} {metadata['name']}: {json.dumps(metadata)[:1500]}")
            return missing

        def untold() -> list[str]:
            if not (found := without()):
                return []
            events = self._ask("GET", path_of("events.k8s.io", "v1", "events", self._team.namespace)) or {}
            own = [one for one in events["items"] if "execution" in one.get("reportingController", "")]
            told = {one["regarding"].get("uid") for one in own}
            return [one for one in found if not any(f'"uid": "{uid}"' in one for uid in told)]

        _within(untold, "without what is enforced, and nothing says so")

    def _status_follows(self, story: Story) -> None:
        forged = {(step.kind, step.name) for step in story if step.action == "status"}

        def late() -> list[str]:
            found = []
            for name in {step.kind for step in story if KINDS[step.kind].ours}:
                for one in self._items(KINDS[name]):
                    metadata, own = one["metadata"], one["metadata"]["name"].rpartition("-")[2]
                    seen = (one.get("status") or {}).get("observedGeneration")
                    if (
                        (name, own) not in forged
                        and seen != metadata["generation"]
                        and "deletionTimestamp" not in metadata
                    ):
                        found.append(f"{name} {own}: generation {metadata['generation']}, {one.get('status')}")
            return found

        _within(late, "no word on what was written")

    def _logs_are_quiet(self) -> None:
        for name, before in self._read.items():
            lines = self._operator.log(name)[before:].splitlines()
            for place, line in enumerate(lines):
                if _SUSPICIOUS.search(line):
                    raise BrokenError(f"the {name} says:\n" + "\n".join(lines[max(0, place - 2) : place + 40]))

    def _clean(self, story: Story) -> None:
        """Remove what a story left; nothing of the operator's may keep it."""
        self._uids.clear()
        kinds = [KINDS[name] for name in sorted({step.kind for step in story} | set(_ALWAYS)) if name != "Namespace"]
        labels = {f"execution.dev/{key}": None for key in ("failure-policy", "max-parallelism", "id", "redeliver")}
        annotations = {f"execution.dev/allowed-{key}": None for key in ("output-prefixes", "service-accounts")}
        change = {"metadata": {"labels": {**labels, "execution.dev/pods": "enabled"}, "annotations": annotations}}
        self._ask("PATCH", path_of("", "v1", "namespaces", "", self._team.namespace), change, TYPES["PATCH"])

        def left() -> list[str]:
            found = []
            for kind in kinds:
                for one in self._items(kind):
                    metadata = one["metadata"]
                    path = self._path(kind, metadata["name"])
                    self._ask("DELETE", f"{path}?{_AT_ONCE}")
                    # Ours on other objects is for their authors to take away.
                    taken = {FINALIZER} if kind.execution else {FINALIZER, NOTIFICATIONS_FINALIZER}
                    if taken & set(own := metadata.get("finalizers", [])):
                        rest = [name for name in own if name not in taken]
                        self._ask("PATCH", path, {"metadata": {"finalizers": rest}}, TYPES["PATCH"])
                    found.append(f"{kind.kind} {metadata['name']}: {json.dumps(metadata)[:1500]}")
            return found

        _within(left, "nothing lets go of")


def _within(wrong: Callable[[], list[str]], what: str) -> None:
    """Wait until nothing is wrong any more."""
    until = time.monotonic() + _PATIENCE
    while found := wrong():
        if time.monotonic() > until:
            raise BrokenError("\n".join((f"{what}:", *found)))
        time.sleep(0.1)


def shown(story: Story) -> str:
    """A story in a form that can be played again."""
    return json.dumps(msgspec.to_builtins(story))  # escapes what is no text in UTF-8


def told(text: str) -> Story:
    """A story that was shown."""
    return msgspec.convert(json.loads(text), list[Step])
