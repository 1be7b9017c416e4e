"""The webhook entries of engines that are added at run time, and of their launch plans. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from execution_options.install.remembered import Collection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from execution_options.api.related_kinds import LaunchPlanKind
    from execution_options.engines.profile import Engine

Entry = dict[str, Any]

_OF_EXECUTIONS: Final = ".executions.execution.dev"
"""How the names of those entries end that are about executions of any kind but pods."""
_OF_LAUNCH_PLANS: Final = "launchplans.execution.dev"


def kinds(installed: Iterable[Entry]) -> set[Collection]:
    """The kinds of executions that entries are about."""
    return _kinds(entry for entry in installed if entry["name"] != _OF_LAUNCH_PLANS)


def _kinds(installed: Iterable[Entry]) -> set[Collection]:
    return {
        Collection(plural, version, group)
        for entry in installed
        for rule in entry.get("rules") or ()
        for group in rule["apiGroups"]
        for version in rule["apiVersions"]
        for plural in rule["resources"]
    }


def uncovered(installed: Iterable[Entry], engines: Iterable[Engine]) -> list[Engine]:
    """The engines whose executions no installed entry is about. A second call would see the first one's answer."""
    covered = kinds(installed)
    return [engine for engine in engines if Collection.of(engine) not in covered]


def entries(installed: Iterable[Entry], engines: Iterable[Engine]) -> list[Entry]:
    """Entries for these engines: the installed ones of executions, with other rules.

    So they have the same policies, timeouts and conditions, whatever the installation sets, and the same
    certificate authority from the first moment.
    """
    engines = list(engines)
    if not engines:
        return []
    return [
        entry | {"rules": list(_rules(entry["rules"][0], engines))}
        for entry in installed
        if entry["name"].endswith(_OF_EXECUTIONS)
    ]


def checks(installed: Iterable[Entry], engines: Iterable[Engine]) -> list[Entry]:
    """The entry by which launch plans of these engines are checked, where the installed one is not about them.

    Args:
        installed: of the configuration of validating webhooks. Ours becomes a mutating one, and changes nothing.
        engines: the engines.
    """
    for entry in installed:
        if entry["name"] == _OF_LAUNCH_PLANS:
            covered = _kinds([entry])
            plans = [plan for engine in engines for plan in engine.launch_plans]
            more = [plan for plan in plans if Collection(plan.plural, plan.version, plan.group) not in covered]
            if more:
                return [entry | {"rules": list(_rules(entry["rules"][0], more)), "reinvocationPolicy": "Never"}]
    return []


def _rules(installed: Mapping[str, Any], kinds: Sequence[Engine | LaunchPlanKind]) -> Iterator[dict[str, Any]]:
    for group, version in sorted({(kind.group, kind.version) for kind in kinds}):
        plurals = sorted({kind.plural for kind in kinds if (kind.group, kind.version) == (group, version)})
        yield {**installed, "apiGroups": [group], "apiVersions": [version], "resources": plurals}


def trusted(installed: Iterable[Entry]) -> bool:
    """Whether the API server trusts the webhook by every entry."""
    return all(entry["clientConfig"].get("caBundle") for entry in installed)


def same(left: Iterable[Entry], right: Iterable[Entry]) -> bool:
    """Whether entries are the same, apart from the certificate authority, which the webhook keeps in all of them."""
    return [_bare(entry) for entry in left] == [_bare(entry) for entry in right]


def _bare(entry: Entry) -> Entry:
    client = {key: value for key, value in entry["clientConfig"].items() if key != "caBundle"}
    return entry | {"clientConfig": client}
