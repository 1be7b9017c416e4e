"""Flyte's security context and storage location: ``flytekit.models.security`` and ``.common``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Identity:
    """The identity of an execution's pods; ``flytekit.models.security.Identity``.

    Args:
        iam_role: Cloud identity that the service account is bound to: an AWS role ARN, a Google
            service account's address or an Azure client id. Needs ``service_account_policy="Create"``.
        k8s_service_account: Service account of the pods. ``""`` clears one that was set at a lower
            level; None leaves it as it is.
        oauth2_client: Accepted as flytekit accepts it, but it has no counterpart in Kubernetes:
            ``Options.to_manifest`` refuses it.
        execution_identity: Likewise; Flyte's control plane fills it in by itself.
        service_account_policy: Beyond flytekit. ``"Require"`` (also when None): the service account
            must exist. ``"Create"``: the operator creates it.
    """

    iam_role: str | None = None
    k8s_service_account: str | None = None
    oauth2_client: Any = field(default=None, repr=False)  # it holds a client secret
    execution_identity: str | None = None
    service_account_policy: Literal["Require", "Create"] | None = field(default=None, kw_only=True)


@dataclass
class SecurityContext:
    """The identity under which an execution runs; ``flytekit.models.security.SecurityContext``.

    Args:
        run_as: The identity of the execution's pods.
        secrets: Accepted as flytekit accepts them, but a task's secrets belong into its own pod
            template: ``Options.to_manifest`` refuses them.
        tokens: Likewise.
    """

    run_as: Identity | None = None
    secrets: list[Any] | None = None
    tokens: list[Any] | None = field(default=None, repr=False)  # they hold client secrets

    def __post_init__(self) -> None:
        self.secrets = _listed(self.secrets)
        self.tokens = _listed(self.tokens)


def _listed(value: Any) -> list[Any] | None:
    """Wrap a single value in a list, as flytekit does; None if there is none."""
    if not value:
        return None
    return value if isinstance(value, list) else [value]


@dataclass
class AuthRole:
    """The older form of an identity; ``flytekit.models.common.AuthRole``. ``LaunchPlan`` takes it.

    Args:
        assumable_iam_role: Cloud identity; ``Identity.iam_role``.
        kubernetes_service_account: Service account; ``Identity.k8s_service_account``.
    """

    assumable_iam_role: str | None = None
    kubernetes_service_account: str | None = None


@dataclass
class RawOutputDataConfig:
    """Where executions store offloaded data; ``flytekit.models.common.RawOutputDataConfig``.

    Args:
        output_location_prefix: Prefix below which every execution gets a location of its own, such
            as ``s3://bucket/key``, ``gs://…`` or an absolute path.
    """

    output_location_prefix: str
