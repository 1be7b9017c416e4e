"""How much of a ResourceQuota waiting pods may use.

A quota charges a gated pod like a running one (https://kubernetes.io/docs/concepts/policy/resource-quotas/). Without a
bound, the waiting pods of one large execution could block a namespace for everybody else.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARE: Final = Decimal("0.75")
"""Share of a quota's resource from which pods that would only wait are refused."""

_SUFFIXES: Final = {
    **{suffix: Decimal(1000) ** power for suffix, power in {"n": -3, "u": -2, "m": -1, "k": 1, "M": 2, "G": 3}.items()},
    **{suffix: Decimal(1000) ** power for suffix, power in {"T": 4, "P": 5, "E": 6}.items()},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}
_OF_PODS: Final = ("pods", "count/pods", "cpu", "memory", "ephemeral-storage")


def amount(quantity: str) -> Decimal | None:
    """A quantity such as ``1500m``, ``2Gi`` or ``1e3`` as a number; ``None`` if it is invalid.

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
    """The resources of pods of which :data:`SHARE` or more is used.

    A resource of which the quota allows nothing is left out: there is nothing to keep for others.

    Args:
        hard: quantities that the quota allows, by resource.
        used: quantities in use, by resource.

    Returns:
        For each resource a text for people, such as ``pods 6 of 8``.
    """
    found = {}
    for resource in sorted(filter(_is_of_pods, hard)):
        most, now = amount(hard[resource]), amount(used.get(resource, "0"))
        if most and now is not None and now >= most * SHARE:
            found[resource] = f"{resource} {used.get(resource, '0')} of {hard[resource]}"
    return found


def uses(resource: str, pod: Mapping[str, Any]) -> bool:
    """Whether a pod uses a resource of a quota. Every pod uses ``pods``; other resources must be requested.

    The amount does not matter here, so it is enough to check each field that Kubernetes adds up.
    https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers

    Args:
        resource: resource of the quota, for example ``requests.cpu``.
        pod: the pod as JSON.
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
    """The message that refuses a pod that would only wait.

    It begins like the API server's own message about an exceeded quota, because engines try again after that one.

    Args:
        quota: name of the ResourceQuota.
        text: the resources that are nearly used.
    """
    return (
        f"exceeded quota: {quota}, used: {text}: pods of this execution already wait for a parallelism slot, and no "
        "more may wait while three quarters are used"
    )
