"""What is wrong with the operator, by what the cluster holds of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from execution_options.cli.records import age
from execution_options.engines.registry import builtin_engines

Document = dict[str, Any]
LATE: Final = timedelta(minutes=10)
"""How long a notification may take before it is called late."""
NAMED: Final = 5
"""Most objects of one kind that are named."""


class Check(Struct, frozen=True):
    """One line of the screen.

    Attributes:
        what: what was looked at.
        text: how it is.
        problems: what is wrong, each with what to do; empty: nothing.
        unknown: whether the user may not read it.
    """

    what: str
    text: str
    problems: tuple[str, ...] = ()
    unknown: bool = False

    @property
    def mark(self) -> str:
        """The state in one word."""
        return "?" if self.unknown else "WRONG" if self.problems else "ok"


def judge_lease(leases: list[Document], now: datetime | None = None) -> Check:
    """Whether a controller is active.

    Args:
        leases: its Lease; empty if there is none.
        now: the current time.
    """
    spec = leases[0].get("spec") or {} if leases else {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        problem = "no controller holds the Lease: look for its pods and their logs"
        return Check("controller", "none is active", (problem,))
    now = now or datetime.now(UTC)
    if now - datetime.fromisoformat(renewed) > 2 * timedelta(seconds=spec.get("leaseDurationSeconds") or 15):
        problem = f"{holder} has not renewed the Lease for {age(renewed, now)}: look at its log"
        return Check("controller", "none is active", (problem,))
    return Check("controller", f"{holder} is active")


def judge_engines(engines: list[Document]) -> Check:
    """Engines, and which of those that are described in the cluster have a problem."""
    text = f"{len(builtin_engines())} built in, {len(engines)} described in the cluster"
    return Check("engines", text, _problems(engines))


def judge_objects(what: str, documents: list[Document]) -> Check:
    """Objects of ours, and the most urgent problem of each that has one.

    Args:
        what: what they are.
        documents: all of them.
    """
    wrong = sum(1 for one in documents if _problem(one))
    text = f"{len(documents)}, {wrong} with a problem" if wrong else str(len(documents))
    return Check(what, text, _problems(documents))


def judge_deliveries(deliveries: list[Document], now: datetime | None = None) -> Check:
    """Notifications, and which of them failed or are late.

    Args:
        deliveries: all of them.
        now: the current time.
    """
    now = now or datetime.now(UTC)
    states: dict[str, list[Document]] = {}
    for one in deliveries:
        states.setdefault((one.get("status") or {}).get("state") or "Pending", []).append(one)
    waiting = [*states.get("Pending", ()), *states.get("Sending", ())]
    late = [one for one in waiting if now - datetime.fromisoformat(_created(one)) > LATE]
    problems = []
    if failed := states.get("Failed"):
        problems.append(f"failed: {_reasons(failed)}; correct the channel, and `notify redeliver` them")
    if late:
        oldest = age(min(map(_created, late)), now)
        problems.append(f"not delivered yet, the oldest for {oldest}: {_reasons(late)}")
    text = ", ".join(f"{len(found)} {state}" for state, found in sorted(states.items()))
    return Check("notifications", text or "0", tuple(problems))


def _created(document: Document) -> str:
    return str(document["metadata"]["creationTimestamp"])


def _name(document: Document) -> str:
    metadata = document["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _reasons(deliveries: list[Document]) -> str:
    reasons = [(_name(one), (one.get("status") or {}).get("reason") or "not tried") for one in deliveries]
    more = f" and {len(reasons) - NAMED} more" if len(reasons) > NAMED else ""
    return ", ".join(f"{name} ({reason})" for name, reason in reasons[:NAMED]) + more


def _problem(document: Document) -> Document | None:
    found: Document | None = (document.get("status") or {}).get("problem")
    return found


def _problems(documents: list[Document]) -> tuple[str, ...]:
    found = [
        ", ".join(filter(None, (f"{_name(one)}: {problem['reason']}", problem.get("message"))))
        for one in documents
        if (problem := _problem(one))
    ]
    return (*found[:NAMED], *([f"and {len(found) - NAMED} more"] if len(found) > NAMED else []))
