"""Flyte's ``LaunchPlan``: ``flytekit.core.launch_plan``, for launch plans that Kubernetes has."""

from __future__ import annotations

# Needed at run time by whoever resolves the annotations.
from collections.abc import Iterable, Mapping  # noqa: TC003
from pathlib import Path  # noqa: TC003
from typing import Any, Final, Self

from execution_options.launching.launch import register
from execution_options.launching.manifest import Workflow, manifest_of
from execution_options.sdk.metadata import Annotations, Labels  # noqa: TC001
from execution_options.sdk.notifications import Notification  # noqa: TC001
from execution_options.sdk.options import Options
from execution_options.sdk.security import AuthRole, Identity, RawOutputDataConfig, SecurityContext

ELSEWHERE: Final = {
    "default_inputs": "write inputs into the manifest",
    "fixed_inputs": "write inputs into the manifest",
    "schedule": "the manifest has it: spec.schedule of a CronJob or the like",
    "trigger": "the manifest has it: spec.schedule of a CronJob or the like",
    "auto_activate": "the manifest has it: spec.suspend",
    "concurrency": "the manifest has it: spec.concurrencyPolicy",
}
"""Arguments of flytekit's that are no options, and what to do instead."""


class LaunchPlan:
    """A launch plan with options for all that it starts; ``flytekit.core.launch_plan.LaunchPlan``.

    Made by :meth:`get_or_create` or :meth:`create`; :meth:`register` sends it to the cluster.

    Attributes:
        name: Its name.
        workflow: Its manifest, as ``register`` takes one.
        options: What its executions get.
    """

    def __init__(self, name: str, workflow: Workflow, options: Options) -> None:
        self.name = name
        self.workflow = workflow
        self.options = options

    def __repr__(self) -> str:
        return f"LaunchPlan({self.name!r}, options={self.options!r})"

    @classmethod
    def create(
        cls,
        name: str,
        workflow: Workflow,
        default_inputs: Mapping[str, Any] | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        schedule: Any = None,
        notifications: Iterable[Notification] | None = None,
        labels: Mapping[str, str] | Labels | None = None,
        annotations: Mapping[str, str] | Annotations | None = None,
        raw_output_data_config: RawOutputDataConfig | str | None = None,
        max_parallelism: int | None = None,
        security_context: SecurityContext | None = None,
        auth_role: AuthRole | None = None,
        trigger: Any = None,
        overwrite_cache: bool | None = None,
        auto_activate: bool = False,
        concurrency: Any = None,
    ) -> Self:
        """A launch plan of that name.

        Args:
            name: Its name, instead of the manifest's.
            workflow: The manifest: a dict, YAML text, a path, or an object of Hera or of the kubernetes client.
            default_inputs: Not here, like ``fixed_inputs``, ``schedule``, ``trigger``, ``auto_activate`` and
                ``concurrency``: the manifest has what stands for them.
            fixed_inputs: See ``default_inputs``.
            schedule: See ``default_inputs``.
            notifications: Who is notified when an execution ends.
            labels: Labels of executions and their pods.
            annotations: Annotations of executions and their pods.
            raw_output_data_config: Where executions store offloaded data.
            max_parallelism: How many pods of one execution may run at the same time.
            security_context: The identity under which executions run.
            auth_role: The older form of ``security_context``.
            trigger: See ``default_inputs``.
            overwrite_cache: Run again what a cache could answer.
            auto_activate: See ``default_inputs``.
            concurrency: See ``default_inputs``.

        Raises:
            TypeError: An argument is of another type.
            ValueError: An argument has no counterpart here, or both ``auth_role`` and ``security_context`` are given.
        """
        elsewhere = {
            "default_inputs": default_inputs,
            "fixed_inputs": fixed_inputs,
            "schedule": schedule,
            "trigger": trigger,
            "auto_activate": auto_activate,
            "concurrency": concurrency,
        }
        if lost := [f"{argument}: {ELSEWHERE[argument]}" for argument, value in elsewhere.items() if value]:
            raise ValueError("these are no options: " + "; ".join(lost))
        if auth_role is not None:
            if security_context is not None:
                raise ValueError("give security_context or auth_role, its older form, not both")
            security_context = SecurityContext(
                run_as=Identity(
                    iam_role=auth_role.assumable_iam_role,
                    k8s_service_account=auth_role.kubernetes_service_account,
                )
            )
        return cls(
            name,
            workflow,
            Options(
                labels=labels,
                annotations=annotations,
                raw_output_data_config=raw_output_data_config,
                security_context=security_context,
                max_parallelism=max_parallelism,
                notifications=notifications,
                overwrite_cache=overwrite_cache,
            ),
        )

    @classmethod
    def get_or_create(cls, workflow: Workflow, name: str | None = None, *arguments: Any, **named: Any) -> Self:
        """The same, with the workflow first; the name may be the manifest's.

        Args:
            workflow: The manifest.
            name: Its name; None: the manifest's.
            arguments: As :meth:`create` takes them after the workflow.
            named: Likewise.

        Raises:
            TypeError: An argument is of another type.
            ValueError: There is no name, or an argument has no counterpart here.
        """
        if name is None:
            name = manifest_of(workflow)["metadata"].get("name")
        if not name:
            raise ValueError("a launch plan needs a name: name=…, or metadata.name of the manifest")
        return cls.create(name, workflow, *arguments, **named)

    def register(
        self,
        *,
        namespace: str | None = None,
        references: Iterable[str] = (),
        kubeconfig: Path | None = None,
        context: str | None = None,
    ) -> str:
        """Create or update it in the cluster.

        Args:
            namespace: Instead of the manifest's.
            references: Names of options to refer to.
            kubeconfig: Of the cluster; None: the pod's own service account, else kubectl's.
            context: Of the kubeconfig; None: its current one.

        Returns:
            Its name.

        Raises:
            ValueError: The manifest or the options are not valid; nothing was sent.
            LaunchError: The cluster refuses it, or does not answer.
        """
        return register(
            self.workflow,
            self.options,
            name=self.name,
            namespace=namespace,
            references=tuple(references),
            kubeconfig=kubeconfig,
            context=context,
        )
