"""What is installed: every manifest is complete, and fits to what the code asks for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from execution_options import install
from execution_options.api.names import GATE
from execution_options.certificates.material import KEYS
from execution_options.engines.profile import builtin
from execution_options.install import (
    CONTROLLER,
    ENGINES_CONFIGURATION,
    SYSTEM_NAMESPACE,
    TLS_SECRET,
    WEBHOOK,
    WEBHOOK_CONFIGURATION,
    controller_user,
    definitions,
    rbac,
    roles,
    uninstall_rbac,
    webhook_configuration,
)
from execution_options.install.local import local_webhook
from execution_options.install.policies import CERTIFICATE_KEYS, MOST_NAMED, policies

Manifest = dict[str, Any]
ENTRIES = {entry["name"]: entry for entry in webhook_configuration()["webhooks"]}


def named(kind: str, name: str) -> Manifest:
    (found,) = [one for one in rbac() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


@pytest.mark.parametrize(
    "manifest", [*definitions(), *rbac(), *roles(), *local_webhook(1), *policies()], ids=lambda one: one["kind"]
)
def test_every_manifest_can_be_applied(manifest: Manifest) -> None:
    assert manifest["kind"] in install._PLURALS
    assert manifest["apiVersion"]
    assert manifest["metadata"]["name"]


@pytest.mark.parametrize("role", [r for r in rbac() if r["kind"] in ("Role", "ClusterRole")], ids=lambda r: r["kind"])
def test_rights_are_bound_to_the_account_that_has_them(role: Manifest) -> None:
    name = role["metadata"]["name"]
    account = WEBHOOK if name.startswith(WEBHOOK) else CONTROLLER
    binding = named(f"{role['kind']}Binding", name)
    assert binding["roleRef"]["name"] == name
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}]
    assert named("ServiceAccount", account)["metadata"]["namespace"] == SYSTEM_NAMESPACE


def test_no_right_is_a_wildcard_and_secrets_are_named() -> None:
    for role in [one for one in rbac() if one["kind"] in ("ClusterRole", "Role")]:
        for rule in role.get("rules", ()):
            assert not {"*"} & {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            if "secrets" in rule["resources"] and rule["verbs"] != ["create"]:
                assert rule["resourceNames"] == [TLS_SECRET]
            if {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} & {*rule["resources"]}:
                assert {*rule["resourceNames"]} <= {WEBHOOK_CONFIGURATION, ENGINES_CONFIGURATION}


def test_the_controller_may_change_no_entries_but_those_of_engines_added_at_run_time() -> None:
    kinds = {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}
    rules = [rule for rule in named("ClusterRole", CONTROLLER)["rules"] if kinds & {*rule["resources"]}]
    writable = [rule["resourceNames"] for rule in rules if {*rule["verbs"]} - {"get", "list", "watch"}]
    assert writable == [[ENGINES_CONFIGURATION]]


def test_the_webhook_may_read_the_launch_plans_of_every_engine() -> None:
    rules = named("ClusterRole", WEBHOOK)["rules"]
    readable = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    for engine in builtin():
        assert {(plan.group, plan.plural) for plan in engine.launch_plans} <= readable


def test_every_engine_has_entries_for_all_that_can_happen_to_it() -> None:
    for engine in builtin():
        found = {
            name.partition(".")[0]: rule["operations"]
            for name, entry in ENTRIES.items()
            for rule in entry["rules"]
            if rule["apiGroups"] == [engine.group] and rule["apiVersions"] == [engine.version]
            if engine.plural in rule["resources"]
        }
        created, updated = ["CREATE"], ["UPDATE"]
        expected = {
            "referenced": created,
            "selected": created,
            "required": created,
            "updated": updated,
            "kept": updated,
        }
        assert found == expected | ({"capped": created, "limited": created} if engine.is_pod else {})


def test_only_pods_with_the_label_of_capped_executions_may_get_a_gate() -> None:
    for name, entry in ENTRIES.items():
        selected = entry.get("objectSelector", {}).get("matchExpressions", [])
        capped = name.partition(".")[0] in ("capped", "limited")
        assert (selected == [{"key": GATE, "operator": "Exists"}]) is capped


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_are_chosen_deliberately(name: str) -> None:
    entry = ENTRIES[name]
    kind = name.partition(".")[0]
    assert entry["failurePolicy"] == ("Fail" if kind in ("referenced", "required", "kept", "limited") else "Ignore")
    assert entry["reinvocationPolicy"] == "Never"
    assert entry["sideEffects"] == "None"
    assert entry["timeoutSeconds"] <= 10
    assert re.fullmatch(r"[a-z]+\.(executions|pods)\.execution\.dev", name)
    policy = [e for e in entry["namespaceSelector"]["matchExpressions"] if e["key"] == "execution.dev/failure-policy"]
    expected = {"selected": "NotIn", "required": "In", "kept": "In", "capped": "NotIn", "limited": "In"}.get(kind)
    assert [one["operator"] for one in policy] == ([] if expected is None else [expected])


def test_only_the_controller_passes_by_the_entries_for_updates() -> None:
    for name, entry in ENTRIES.items():
        expressions = [condition["expression"] for condition in entry["matchConditions"]]
        others = f"request.userInfo.username != '{controller_user()}'"
        assert (others in expressions) is name.startswith(("updated", "kept"))


POLICIES = {one["metadata"]["name"]: one["spec"] for one in policies() if one["kind"] == "ValidatingAdmissionPolicy"}


def test_every_policy_refuses_also_what_it_cannot_judge() -> None:
    bound = {one["spec"]["policyName"]: one["spec"] for one in policies() if one["kind"].endswith("Binding")}
    assert set(bound) == set(POLICIES)
    for name, spec in POLICIES.items():
        # One that has parameters would have all wait for the kind of these.
        assert spec["failurePolicy"] == ("Ignore" if "paramKind" in spec else "Fail")
        assert bound[name]["validationActions"] == ["Deny"]


def test_the_policy_for_metadata_covers_every_engine_and_its_status() -> None:
    rules = POLICIES["execution-options-metadata"]["matchConstraints"]["resourceRules"]
    covered = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    for engine in builtin():
        assert {(engine.group, engine.plural), (engine.group, f"{engine.plural}/status")} <= covered


def test_no_word_that_stands_for_something_is_left() -> None:
    for document in (webhook_configuration(), *policies()):
        assert re.findall(r"\b[A-Z]+_[A-Z]+\b", str(document)) == []


def test_the_checks_of_a_channel_stay_within_the_price_of_a_policy() -> None:
    checks = str(POLICIES["execution-options-channels"]["validations"]).count(".check(")
    assert checks == MOST_NAMED + 1, "each secret, and logs"
    assert (checks + 1) * 350_000 < 10_000_000


def test_the_policy_for_secrets_knows_the_accounts_and_the_keys_of_the_certificate() -> None:
    assert set(CERTIFICATE_KEYS) == KEYS
    (tokens, *_) = POLICIES["execution-options-secrets"]["validations"]
    accounts = [one["metadata"]["name"] for one in [*rbac(), *uninstall_rbac()] if one["kind"] == "ServiceAccount"]
    assert sorted(re.findall(r'"(execution-options-[a-z]+)"', tokens["expression"])) == sorted(accounts)


def test_every_entry_leads_to_the_local_port() -> None:
    service, configuration, _, validating = local_webhook(12345)
    assert (service["metadata"]["name"], service["metadata"]["namespace"]) == (WEBHOOK, SYSTEM_NAMESPACE)
    for entry in (*configuration["webhooks"], *validating["webhooks"]):
        assert entry["clientConfig"]["service"]["port"] == 12345
    assert all(entry["clientConfig"]["service"]["port"] == 443 for entry in webhook_configuration()["webhooks"])
