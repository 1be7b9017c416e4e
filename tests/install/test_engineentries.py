"""Entries of engines added at run time are those of the built-in ones, with other rules."""

from __future__ import annotations

from typing import Any

import msgspec

from execution_options.engines.profile import Engine, builtin, compiled
from execution_options.install import validating_configuration, webhook_configuration
from execution_options.install.engineentries import checks, entries, kinds, same, trusted, uncovered
from support import descriptions


def engine(name: str, **changes: Any) -> Engine:
    manifest = {"apiVersion": "execution.dev/v1beta1", "kind": "ExecutionEngine", "metadata": {"name": name}}
    return compiled({**manifest, "spec": descriptions.spec(**changes)})


def installed() -> list[dict[str, Any]]:
    """As the API server stores them, changed by the installation."""
    found = msgspec.json.decode(msgspec.json.encode(webhook_configuration()["webhooks"]))
    for entry in found:
        entry["clientConfig"]["caBundle"] = "Q0E="
        entry["timeoutSeconds"] = 7
    return list(found)


BACKUP = engine("backup")


def test_an_engine_gets_an_entry_for_all_that_can_happen_to_it() -> None:
    found = {entry["name"].partition(".")[0]: entry for entry in entries(installed(), [BACKUP])}
    assert {name: [rule["operations"] for rule in entry["rules"]] for name, entry in found.items()} == {
        "referenced": [["CREATE"]],
        "selected": [["CREATE"]],
        "required": [["CREATE"]],
        "updated": [["UPDATE"]],
        "kept": [["UPDATE"]],
    }
    for entry in found.values():
        (rule,) = entry["rules"]
        assert (rule["apiGroups"], rule["apiVersions"], rule["resources"]) == (["example.com"], ["v1"], ["backups"])


def test_all_but_the_rules_is_what_the_installation_says() -> None:
    as_installed = {entry["name"]: entry for entry in installed()}
    for entry in entries(installed(), [BACKUP]):
        assert entry | {"rules": 0} == as_installed[entry["name"]] | {"rules": 0}


def test_engines_of_one_version_share_a_rule() -> None:
    more = [engine("restore", kind="Restore", plural="restores"), engine("old", version="v1beta1", kind="Old")]
    for entry in entries(installed(), [BACKUP, *more]):
        rules = [(rule["apiVersions"], rule["resources"]) for rule in entry["rules"]]
        assert rules == [(["v1"], ["backups", "restores"]), (["v1beta1"], ["backups"])]


def test_no_execution_is_admitted_twice() -> None:
    assert uncovered(installed(), builtin()) == []
    replaced = engine("job", group="batch", kind="Job", plural="jobs")
    assert uncovered(installed(), [replaced, BACKUP]) == [BACKUP]
    # Another version of a kind has other paths.
    assert uncovered(installed(), [msgspec.structs.replace(replaced, version="v2")]) != []


def test_launch_plans_that_no_installed_entry_checks_get_one() -> None:
    schedules = {"group": "example.com", "version": "v1", "kind": "Schedule", "plural": "schedules"}
    known = {"group": "batch", "version": "v1", "kind": "CronJob", "plural": "cronjobs"}
    validating = validating_configuration()["webhooks"]
    (entry,) = checks(validating, [engine("backup", launchPlans=[schedules, known])])
    (rule,) = entry["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["operations"]) == (
        ["example.com"],
        ["schedules"],
        ["CREATE", "UPDATE"],
    )
    assert (entry["failurePolicy"], entry["clientConfig"]["service"]["path"]) == ("Ignore", "/objects")
    assert kinds([entry]) == set(), "its objects are no executions"
    assert checks(validating, [BACKUP, engine("nightly", launchPlans=[known])]) == []


def test_without_engines_there_are_no_entries() -> None:
    assert entries(installed(), []) == []


def test_a_new_certificate_authority_alone_makes_no_difference() -> None:
    left, right = installed(), installed()
    assert trusted(left)
    right[0]["clientConfig"]["caBundle"] = "T1RIRVI="
    assert same(left, right)
    right[0]["timeoutSeconds"] = 8
    assert not same(left, right)
    del left[-1]["clientConfig"]["caBundle"]
    assert not trusted(left)
