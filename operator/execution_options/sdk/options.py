"""Flyte's ``Options``: ``flytekit.core.options``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Self

from execution_options.sdk import typed
from execution_options.sdk.fields import OptionsFields

# Needed at run time by whoever resolves the annotations of the constructor.
from execution_options.sdk.metadata import Annotations, Labels  # noqa: TC001
from execution_options.sdk.notifications import Notification  # noqa: TC001
from execution_options.sdk.security import Identity, RawOutputDataConfig, SecurityContext


class Options(OptionsFields):
    """What an execution gets beyond its definition; ``flytekit.core.options.Options``.

    None means "not set" and is left out of the manifest. ``0``, ``False`` and empty values are set and
    kept.

    Args:
        labels: Labels of the execution and its pods.
        annotations: Annotations of the execution and its pods.
        raw_output_data_config: Where executions store offloaded data; a plain string is the prefix.
        security_context: The identity under which executions run.
        max_parallelism: How many task pods of one execution may run at the same time. None: the
            platform decides. 0: unlimited.
        notifications: Who is notified when an execution ends.
        disable_notifications: True silences every notification, whatever else is configured.
        overwrite_cache: True runs again what a cache could answer.
        envs: Beyond flytekit's Options, from Flyte's ExecutionSpec: environment variables.
        mode: Beyond flytekit, as the following. ``"Default"`` (also when None) fills in what the
            execution's author left open, ``"Enforce"`` replaces what the author wrote.
        priority: Among options of the same level that select an execution the higher wins.
        update_policy: Whether edits reach running executions (``"Live"``, also when None).
        notification_guarantee: Whether executions are held until their notifications are recorded
            (``"Held"``) or not (``"Observed"``, also when None).
        selector: Which executions get the options, in the manifest's form. None: only those that
            refer to them by name. It is not compared: two Options that differ only here are equal.
        namespace_selector: Likewise for the namespaces of cluster-wide options.

    Raises:
        TypeError: An argument, or a part of it, is of another type; the message names it.
    """

    # Written out, not generated: it accepts more than what the attributes hold.
    def __init__(
        self,
        labels: Mapping[str, str] | Labels | None = None,
        annotations: Mapping[str, str] | Annotations | None = None,
        raw_output_data_config: RawOutputDataConfig | str | None = None,
        security_context: SecurityContext | None = None,
        max_parallelism: int | None = None,
        notifications: Iterable[Notification] | None = None,
        disable_notifications: bool | None = None,
        overwrite_cache: bool | None = None,
        *,
        envs: Mapping[str, str] | None = None,
        mode: Literal["Default", "Enforce"] | None = None,
        priority: int | None = None,
        update_policy: Literal["Live", "NextExecution"] | None = None,
        notification_guarantee: Literal["Observed", "Held"] | None = None,
        selector: Mapping[str, Any] | None = None,
        namespace_selector: Mapping[str, Any] | None = None,
    ) -> None:
        self.labels = typed.strings("labels", labels)
        self.annotations = typed.strings("annotations", annotations)
        self.raw_output_data_config = typed.storage(raw_output_data_config)
        self.security_context = typed.security_context(security_context)
        self.max_parallelism = typed.expected("max_parallelism", max_parallelism, int)
        self.notifications = typed.notifications(notifications)
        self.disable_notifications = typed.expected("disable_notifications", disable_notifications, bool)
        self.overwrite_cache = typed.expected("overwrite_cache", overwrite_cache, bool)
        self.envs = typed.strings("envs", envs)
        self.mode = typed.expected("mode", mode, str)
        self.priority = typed.expected("priority", priority, int)
        self.update_policy = typed.expected("update_policy", update_policy, str)
        self.notification_guarantee = typed.expected("notification_guarantee", notification_guarantee, str)
        self.selector = typed.expected("selector", selector, Mapping)
        self.namespace_selector = typed.expected("namespace_selector", namespace_selector, Mapping)

    @classmethod
    def default_from(cls, k8s_service_account: str | None = None, raw_data_prefix: str | None = None) -> Self:
        """Options with a service account, a storage prefix, or both; what is falsy is left out."""
        return cls(
            security_context=(
                SecurityContext(run_as=Identity(k8s_service_account=k8s_service_account))
                if k8s_service_account
                else None
            ),
            raw_output_data_config=raw_data_prefix or None,
        )

    # The conversions are imported when they are used: they need msgspec and yaml, this class does not.

    @classmethod
    def from_flytekit(cls, options: Any) -> Self:
        """The same options from a ``flytekit.core.options.Options``.

        Empty strings, which Flyte reads as "not set", become None.

        Raises:
            TypeError: The object, or a part of it, is not one of flytekit's.
            ValueError: A value has no counterpart here and would be lost.
        """
        from execution_options.sdk.flytekit import read

        return cls(**read(options))

    @classmethod
    def from_flyte2(
        cls,
        *,
        service_account: str | None = None,
        raw_data_path: str | None = None,
        overwrite_cache: bool = False,
        env_vars: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        max_action_concurrency: int | None = None,
        notifications: Any = None,
        channels: Mapping[str, str] | None = None,
        **others: Any,
    ) -> Self:
        """The options that ``flyte.with_runcontext`` of flyte 2 takes by these names.

        Args:
            service_account: Service account of the pods.
            raw_data_path: Where executions store offloaded data.
            overwrite_cache: Run again what a cache could answer. False, the default, is "not set", as in flyte.
            env_vars: Environment variables.
            labels: Labels of the execution and its pods.
            annotations: Annotations of the execution and its pods.
            max_action_concurrency: How many pods may run at the same time. None and 0: the platform decides.
            notifications: One of ``flyte.notify``, or several. Phases, recipients, and texts of subject, message
                and body are carried over, with ``{{.Run.Name}}`` and the like in this project's words.
            channels: Names of NotificationChannels by the URL that a Slack, Teams or Webhook of flyte's holds:
                options hold no URL, which may be a secret.
            others: The other arguments of ``with_runcontext``, which say how code is run and not with which options.

        Raises:
            TypeError: An argument is of another type.
            ValueError: A value has no counterpart here and would be lost; the message lists all of them.
        """
        from execution_options.sdk.flyte2 import read

        return cls(
            **read(
                {
                    "service_account": service_account,
                    "raw_data_path": raw_data_path,
                    "overwrite_cache": overwrite_cache,
                    "env_vars": env_vars,
                    "labels": labels,
                    "annotations": annotations,
                    "max_action_concurrency": max_action_concurrency,
                    "notifications": notifications,
                },
                channels or {},
                others,
            )
        )

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Self:
        """The options of an ``ExecutionOptions`` or ``ClusterExecutionOptions`` manifest.

        Everything of the ``spec`` is kept. Name, namespace and other metadata are not part of the
        options; the ``status`` is the operator's.

        Raises:
            ValueError: It is not such a manifest, or an invalid one; the message lists each path
                with what is wrong there.
        """
        from execution_options.sdk.manifest import read

        return cls(**read(manifest))

    def to_manifest(
        self,
        *,
        name: str,
        namespace: str | None = None,
        selector: Mapping[str, Any] | None = None,
        namespace_selector: Mapping[str, Any] | None = None,
        cluster: bool = False,
    ) -> dict[str, Any]:
        """The manifest, as plain dicts and lists, that gives executions these options.

        Args:
            name: Name of the object.
            namespace: Its namespace. None: the one that it is applied to.
            selector: Which executions get the options, such as ``{"engines": ["job"]}``; ``{}`` is
                every execution in reach. None: the attribute ``selector``.
            namespace_selector: With ``cluster``: in which namespaces. None: the attribute.
            cluster: Make it a ``ClusterExecutionOptions``.

        Raises:
            ValueError: The API server would refuse it, or a value has no counterpart in Kubernetes;
                the message lists each path with what is wrong there.
        """
        from execution_options.sdk.manifest import write

        return write(
            self,
            name=name,
            namespace=namespace,
            selector=self.selector if selector is None else selector,
            namespace_selector=self.namespace_selector if namespace_selector is None else namespace_selector,
            cluster=cluster,
        )

    def to_yaml(
        self,
        *,
        name: str,
        namespace: str | None = None,
        selector: Mapping[str, Any] | None = None,
        namespace_selector: Mapping[str, Any] | None = None,
        cluster: bool = False,
    ) -> str:
        """``to_manifest`` as YAML, ready for ``kubectl apply -f -``; takes and raises the same."""
        import yaml

        manifest = self.to_manifest(
            name=name,
            namespace=namespace,
            selector=selector,
            namespace_selector=namespace_selector,
            cluster=cluster,
        )
        return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True)
