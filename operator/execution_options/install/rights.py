"""What each token of the operator can do, as a table for people; a test asks the API server whether it is so."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from execution_options.install import CONTROLLER, UNINSTALLER, WEBHOOK, documents
from execution_options.install.chart import CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNTS: Final = (WEBHOOK, CONTROLLER, UNINSTALLER)
COLLECTIONS: Final = {
    "EXECUTIONS": "executions",
    "LAUNCH_PLANS": "launch plans",
    "SPECIFICATIONS": "templates of executions",
}
"""What stands for collections of the engines in the files of rights, and in the table."""
EVERYWHERE: Final = "every namespace, cluster"
HERE: Final = "the operator's namespace"
CONDITIONAL: Final = "¹"
"""After verbs that a value of the chart takes away."""

_VERBS: Final = ("get", "list", "watch", "create", "update", "patch", "delete")


class _Place(NamedTuple):
    where: str
    resource: str
    name: str


def rights_table() -> str:
    """A Markdown table: where, what, and the verbs of each account."""
    cells: dict[_Place, dict[str, str]] = defaultdict(dict)
    for account, where, role, rules in _granted():
        mark = CONDITIONAL if ("ClusterRole", role) in CONDITIONS else ""
        for rule in rules:
            for resource in _resources(rule):
                for name in rule.get("resourceNames", [""]):
                    place = _Place(where, resource, name)
                    verbs = {*cells[place].get(account, "").rstrip(CONDITIONAL).split(", "), *rule["verbs"]}
                    cells[place][account] = ", ".join(verb for verb in _VERBS if verb in verbs) + mark
    rows: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for place, by_account in cells.items():
        rows[place.where, place.name, tuple(by_account.get(account, "") for account in ACCOUNTS)].append(place.resource)
    named: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
    for (where, name, columns), resources in rows.items():
        named[where, tuple(resources), columns].append(name)
    lines = ["| where | what | webhook | controller | uninstaller |", "|---|---|---|---|---|"]
    for (where, kinds, columns), names in sorted(named.items(), key=lambda row: (row[0][0] != EVERYWHERE, row)):
        what = ", ".join(one if one in COLLECTIONS.values() else f"`{one}`" for one in kinds)
        if names != [""]:
            what += " named " + ", ".join(f"`{name}`" for name in names)
        lines.append(f"| {where} | {what} | {' | '.join(columns)} |")
    return "\n".join([*lines, ""])


def _granted() -> Iterator[tuple[str, str, str, list[dict[str, list[str]]]]]:
    """Account, where, role and rules of each binding; those that others aggregate are theirs to grant."""
    for file in ("rbac.yaml", "uninstall.yaml"):
        found = documents(file)
        roles = {(one["kind"], one["metadata"]["name"]): one for one in found if "rules" in one}
        for binding in (one for one in found if "roleRef" in one):
            role = roles.get((binding["roleRef"]["kind"], binding["roleRef"]["name"]))
            where = EVERYWHERE if binding["kind"] == "ClusterRoleBinding" else HERE
            if role is not None:
                for subject in binding["subjects"]:
                    yield subject["name"], where, role["metadata"]["name"], role["rules"]


def _resources(rule: dict[str, list[str]]) -> Iterator[str]:
    for resource in rule["resources"]:
        if resource in COLLECTIONS:
            yield COLLECTIONS[resource]
        for group in rule.get("apiGroups", ()):
            yield f"{resource}.{group}" if group else resource
