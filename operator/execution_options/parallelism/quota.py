"""How much of a ResourceQuota pods may use that only wait.

A gated pod counts like a running one (https://kubernetes.io/docs/concepts/policy/resource-quotas/), so that one large
execution could keep everybody else out of a namespace with pods that do nothing.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARE: Final = Decimal("0.75")
"""What may be in use, of any resource of a quota, before pods that would wait are refused."""

_SUFFIXES: Final = {
    **{suffix: Decimal(1000) ** power for suffix, power in {"n": -3, "u": -2, "m": -1, "k": 1, "M": 2, "G": 3}.items()},
    **{suffix: Decimal(1000) ** power for suffix, power in {"T": 4, "P": 5, "E": 6}.items()},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
_OF_PODS: Final = ("pods", "count/pods", "cpu", "memory", "ephemeral-storage")


def amount(quantity: str) -> Decimal | None:
    """A quantity as a number: ``1500m``, ``2Gi``, ``1e3``; ``None`` where it is none.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
    """
    factor = _SUFFIXES.get(quantity[-2:]) or _SUFFIXES.get(quantity[-1:])
    number = quantity.rstrip("KMGTPEikmnu") if factor else quantity
    try:
        found = Decimal(number) * (factor or 1)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def limits_pods(hard: Mapping[str, str]) -> bool:
    """Whether a quota limits anything that pods use."""
    return any(_is_of_pods(resource) for resource in hard)


def nearly_used(hard: Mapping[str, str], used: Mapping[str, str]) -> dict[str, str]:
    """The resources of pods of which :data:`SHARE` or more is in use, each with how much, for people.

    Where nothing is allowed at all, nothing is left to keep for others.

    Args:
        hard: what a quota allows.
        used: what is in use.
    """
    found = {}
    for resource in sorted(filter(_is_of_pods, hard)):
        most, now = amount(hard[resource]), amount(used.get(resource, "0"))
        if most and now is not None and now >= most * SHARE:
            found[resource] = f"{resource} {used.get(resource, '0')} of {hard[resource]}"
    return found


def counts(resource: str, pod: Mapping[str, Any]) -> bool:
    """Whether a pod counts against a resource of a quota: any does where pods are counted, else who asks for it.

    How much it asks for does not matter here, so that it is enough to look at each place that Kubernetes adds up.
    https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers
    """
    if resource in ("pods", "count/pods"):
        return True
    kind, _, name = resource.partition(".")
    if kind not in ("requests", "limits"):
        kind, name = "requests", resource
    spec = pod.get("spec") or {}
    places = (spec, *(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
    asked = [((place.get("resources") or {}).get(kind) or {}).get(name) for place in places]
    if kind == "requests":
        asked.append((spec.get("overhead") or {}).get(name))
    return any(amount(str(quantity)) for quantity in asked if quantity is not None)


def _is_of_pods(resource: str) -> bool:
    requested = resource.startswith(("requests.", "limits.", "hugepages-")) and resource != "requests.storage"
    return requested or resource in _OF_PODS


def refusal(quota: str, text: str) -> str:
    """Why a pod is not admitted that would only wait.

    Engines try again where a refusal speaks of an exceeded quota, in these words of the API server's own.

    Args:
        quota: name of the ResourceQuota.
        text: what of it is nearly used.
    """
    return (
        f"exceeded quota: {quota}, used: {text}: pods of this execution wait for a parallelism slot already, and no "
        "more may while three quarters are used"
    )
