"""What the API server itself decides by expressions: ValidatingAdmissionPolicies and their bindings."""

from __future__ import annotations

import copy
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import msgspec
import yaml

from execution_options.api.meta import kind_key
from execution_options.api.names import (
    API_VERSION,
    DISABLE_NOTIFICATIONS_ANNOTATION,
    ENGINE_KIND,
    GROUP_ANNOTATION,
    INLINE_ANNOTATION,
    OPTIONS_ANNOTATION,
)
from execution_options.engines.profile import builtin
from execution_options.engines.registry import builtin_engines
from execution_options.install import CONTROLLER, UNINSTALLER, WEBHOOK
from execution_options.install.controllers import ENGINE_CONTROLLERS, filled
from execution_options.parallelism.gate import AIRFLOW_LABELS, AIRFLOW_OPERATOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from execution_options.install import Manifest

MOST_NAMED: Final = 12
"""Secrets of one channel that can be checked one by one; an authorization check costs 350,000 of 10,000,000 units."""
CERTIFICATE_KEYS: Final = ("tls.crt", "tls.key", "ca.crt", "ca.key", "next-ca.crt", "next-ca.key", "retired-ca.crt")
"""Keys of the webhook's Secret: those of :data:`execution_options.certificates.material.KEYS`."""


def policies(engine_controllers: Sequence[str] = ENGINE_CONTROLLERS) -> list[Manifest]:
    """The policies, each with the binding that makes it refuse.

    Args:
        engine_controllers: user and group names of the engines' controllers.
    """
    launch_plans = {"/".join(kind_key(plan.group, plan.kind)) for engine in builtin() for plan in engine.launch_plans}
    words = {
        "CERTIFICATE_KEYS": CERTIFICATE_KEYS,
        "GROUPING_LABELS": [*AIRFLOW_LABELS, AIRFLOW_OPERATOR],
        "OWN_ACCOUNTS": [WEBHOOK, CONTROLLER, UNINSTALLER],
        "AUTHORS_ANNOTATIONS": [
            OPTIONS_ANNOTATION,
            INLINE_ANNOTATION,
            DISABLE_NOTIFICATIONS_ANNOTATION,
            GROUP_ANNOTATION,
        ],
        "ENGINE_KINDS": sorted(f"{group}/{kind}" for group, kind in builtin_engines().owning),
        "LAUNCH_PLANS": sorted(launch_plans),
        "MOST_NAMED": MOST_NAMED,
    }
    literals = {word: msgspec.json.encode(value).decode() for word, value in words.items()}

    def literal(text: str) -> str:
        for word, value in literals.items():
            text = text.replace(word, value)
        return filled(text, engine_controllers)

    text = (resources.files(__package__) / "policies.yaml").read_text()
    made = []
    documents = list(yaml.safe_load_all(text))
    for policy in (*documents, _of_described_engines(documents[0])):
        spec = policy["spec"]
        constraints = spec["matchConstraints"]
        constraints["resourceRules"] = [rule for template in constraints["resourceRules"] for rule in _rules(template)]
        spec["validations"] = [one for template in spec["validations"] for one in _repeated(template)]
        made += [_mapped(policy, literal), _binding(policy)]
    return made


def _rules(template: Manifest) -> Iterator[Manifest]:
    """The rule itself, or one for each API group of the engines, for executions and their status."""
    if "apiGroups" in template:
        yield template
        return
    engines = [engine for engine in builtin() if not engine.is_pod]
    for group in sorted({engine.group for engine in engines}):
        plurals = sorted({engine.plural for engine in engines if engine.group == group})
        resources = [name for plural in plurals for name in (plural, f"{plural}/status")]
        yield template | {"apiGroups": [group], "apiVersions": ["*"], "resources": resources}


def _repeated(template: Manifest) -> Iterator[Manifest]:
    """The validation itself, or one for each secret that can be checked."""
    if "INDEX" not in template["expression"]:
        yield template
        return
    for index in range(MOST_NAMED):
        yield {key: text.replace("INDEX", str(index)) for key, text in template.items()}


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """``value`` with every text in it changed."""
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def _of_described_engines(policy: Manifest) -> Manifest:
    """The policy for metadata of engines that are added at run time: each ``ExecutionEngine`` is a parameter of it."""
    described = copy.deepcopy(policy)
    described["metadata"]["name"] += "-engines"
    spec = described["spec"]
    # Where the kind of the parameters is not known (yet), nothing else may wait for it.
    spec["failurePolicy"] = "Ignore"
    spec["paramKind"] = {"apiVersion": API_VERSION, "kind": ENGINE_KIND}
    everything = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*", "*/status"]}
    spec["matchConstraints"]["resourceRules"] = [
        everything | {"operations": ["CREATE", "UPDATE"], "scope": "Namespaced"},
    ]
    # Pods are judged by the other policy, and not once more for each engine.
    pods = {"apiGroups": [""], "apiVersions": ["*"], "resources": ["pods", "pods/*"], "operations": ["*"]}
    spec["matchConstraints"]["excludeResourceRules"] = [pods]
    spec["matchConditions"].append(
        {
            "name": "is-of-the-engine",
            "expression": "request.resource.group == params.spec.group && "
            "request.resource.resource == params.spec.plural",
        }
    )
    plans = "(LAUNCH_PLANS + params.spec.?launchPlans.orValue([]).map(p, p.group + '/' + p.kind.lowerAscii()))"
    return _mapped(described, lambda text: text.replace("LAUNCH_PLANS", plans))  # type: ignore[no-any-return]


def _binding(policy: Manifest) -> Manifest:
    name = policy["metadata"]["name"]
    spec: Manifest = {"policyName": name, "validationActions": ["Deny"]}
    if "paramKind" in policy["spec"]:
        spec["paramRef"] = {"selector": {}, "parameterNotFoundAction": "Allow"}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": spec,
    }
