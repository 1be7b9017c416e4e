"""The few fields that the controller keeps of executions and pods."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any, ClassVar, Final, cast

import msgspec
from msgspec import Struct, field, structs

from execution_options.api.meta import ObjectMeta, share
from execution_options.engines import programs
from execution_options.engines.failures import Failure, failure_of
from execution_options.engines.phases import Outcome
from execution_options.engines.profile import Engine
from execution_options.engines.programs import ProgramOutcome
from execution_options.engines.subset import subset

LIVING: Final = "status.phase!=Succeeded,status.phase!=Failed"
"""Selects pods that have not ended, by their fields."""
_UNKNOWN: Final = Outcome("QUEUED")


class EngineObject(Struct, frozen=True):
    """An execution of an engine other than bare pods; each engine has a subclass with the fields that its rules read.

    Once decoded, only the outcome by these rules is kept: the fields may be large.
    """

    metadata: ObjectMeta
    outcome: Outcome = field(default=_UNKNOWN, name="(outcome)")
    """Its phase by the rules of its engine."""

    engine: ClassVar[Engine]

    def __post_init__(self) -> None:
        share(self.metadata)
        names = self.__struct_fields__[2:]
        document = {name: msgspec.to_builtins(getattr(self, name)) for name in names} | _metadata(self.metadata)
        structs.force_setattr(self, "outcome", self.engine.status.outcome(document))
        for name in names:
            structs.force_setattr(self, name, None)

    @property
    def finished(self) -> bool:
        """Whether it has ended."""
        return self.outcome.terminal


class _Container(Struct, frozen=True, rename="camel"):
    name: str
    termination_message_policy: str = ""


class _PodSpec(Struct, frozen=True, rename="camel"):
    service_account_name: str = ""
    init_containers: list[_Container] | None = None
    containers: list[_Container] | None = None

    @property
    def silent(self) -> frozenset[str]:
        """The containers whose termination message may be the end of their log."""
        containers = (*(self.init_containers or ()), *(self.containers or ()))
        return frozenset(one.name for one in containers if one.termination_message_policy == "FallbackToLogsOnError")


class PodObject(Struct, frozen=True):
    """A pod, which may be an execution itself; its status is kept only until :meth:`judge` has made its outcome."""

    metadata: ObjectMeta
    status: Any = None
    spec: _PodSpec | None = None
    """Kept only until the account and the failure are known."""
    account: str = field(default="", name="(account)")
    """Its service account; empty if only its metadata were read."""
    finished: bool = field(default=False, name="(finished)")
    """Whether it has ended."""
    succeeded: bool = field(default=False, name="(succeeded)")
    """Whether all of its containers have exited with 0."""
    program: ProgramOutcome | None = field(default=None, name="(program)")
    """The outcome that its programs report, if it has succeeded and has a controller."""
    failure: Failure | None = field(default=None, name="(failure)")
    """Why it failed, or cannot start."""
    outcome: Outcome = field(default=_UNKNOWN, name="(outcome)")

    def __post_init__(self) -> None:
        share(self.metadata)
        status = self.status if isinstance(self.status, dict) else {}
        phase = status.get("phase")
        structs.force_setattr(self, "finished", phase in ("Succeeded", "Failed"))
        structs.force_setattr(self, "succeeded", phase == "Succeeded")
        silent: frozenset[str] = frozenset()
        if self.spec is not None:
            silent = self.spec.silent
            structs.force_setattr(self, "account", sys.intern(self.spec.service_account_name))
            structs.force_setattr(self, "spec", None)
        metadata = self.metadata
        failure = failure_of(metadata.name, status, deleted_at=metadata.deleted_at, silent=silent)
        structs.force_setattr(self, "failure", failure)
        if self.metadata.controller is not None:
            if self.succeeded:
                structs.force_setattr(self, "program", programs.of_pod(status))
            structs.force_setattr(self, "status", None)

    def recall(self, before: PodObject) -> None:
        """Keep why it could not start: once it is deleted, its status says only that."""
        deleted = self.metadata.deletion_timestamp is not None and not self.succeeded
        if deleted and self.failure is None and before.failure is not None:
            structs.force_setattr(self, "failure", before.failure)

    def judge(self, engine: Engine) -> None:
        """Compute the outcome by the rules of an engine, once, and drop the status."""
        if self.status is not None:
            document = {"status": self.status} | _metadata(self.metadata)
            structs.force_setattr(self, "outcome", engine.status.outcome(document))
            structs.force_setattr(self, "status", None)


ExecutionObject = EngineObject | PodObject


def _metadata(metadata: ObjectMeta) -> dict[str, Any]:
    """What rules may read of metadata, as in the object."""
    return {"metadata": {"name": metadata.name, "labels": metadata.labels, "annotations": metadata.annotations}}


@lru_cache(maxsize=256)
def followed(engine: Engine) -> type[EngineObject]:
    """The type into which executions of an engine are decoded."""
    fields = [(name, kind, None) for name, kind in subset(engine.status).items()]
    namespace = {"engine": engine}
    kind = msgspec.defstruct(engine.kind, fields, bases=(EngineObject,), namespace=namespace, frozen=True)
    return cast("type[EngineObject]", kind)


def kind_of(engine: Engine) -> type[EngineObject] | type[PodObject]:
    """The type into which executions of an engine are decoded, bare pods included."""
    return PodObject if engine.is_pod else followed(engine)


def is_living(item: ExecutionObject) -> bool:
    """Whether it has not ended and is not being deleted."""
    return not item.finished and item.metadata.deletion_timestamp is None
