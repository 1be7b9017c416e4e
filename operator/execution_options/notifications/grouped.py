"""One message about the ends of several executions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from msgspec import Struct, structs

from execution_options.notifications.content import MAX_BODY, MAX_SUBJECT, Content, cut, one_line
from execution_options.notifications.ended import Ended
from execution_options.notifications.member import Member

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from execution_options.api.notification import Phase

ORDER: Final[tuple[Phase, ...]] = ("FAILED", "TIMED_OUT", "ABORTED", "SUCCEEDED")
VERBS: Final = {"FAILED": "failed", "TIMED_OUT": "timed out", "ABORTED": "aborted", "SUCCEEDED": "succeeded"}


class Group(Struct, frozen=True, kw_only=True):
    """The ends that one message is about.

    Attributes:
        of: the end of one of them, for what all have in common.
        title: what they have in common, for people.
        members: the ends, at least one.
        asking: kind and name of the options that ask for it.
    """

    of: Ended
    title: str
    members: tuple[Member, ...]
    asking: tuple[str, str]

    @property
    def sorted(self) -> list[Member]:
        """The members: failures first, then by the time of their end."""
        return sorted(self.members, key=lambda one: (ORDER.index(one.phase), one.at, one.name))


def content_of_group(group: Group, *, escape: Callable[[str], str] = str) -> Content:
    """The content of the message.

    Args:
        group: the ends.
        escape: applied to what is listed.
    """
    members = group.sorted
    caused = [one for one in members if one.cause]
    first = min(caused, key=lambda one: one.at) if caused else None
    heading = f"{group.title}: {_counted(members)}" + (f", first cause {first.short}" if first is not None else "")
    ended = structs.replace(
        group.of,
        name=one_line(group.title),
        uid="",
        id="",
        phase=members[0].phase,
        message="",
        started_at="",
        finished_at=max(one.at for one in members),
        labels={},
        cause=None,
        headline=one_line(heading),
    )
    place = f"[{ended.cluster}] " if ended.cluster else ""
    return Content(
        ended=ended,
        subject=cut(one_line(f"{place}{heading}"), MAX_SUBJECT),
        body=escape(_listed(members)),
        error="",
        cause="" if first is None else first.cause,
        detail="",
        logs="",
        facts=(("Namespace", ended.namespace),),
        url="",
        reason="Sent by the notifications of {} {}".format(*group.asking) if all(group.asking) else "",
        note="",
        options=(group.asking[1],) if group.asking[1] else (),
        members=tuple(members),
    )


def _counted(members: Sequence[Member]) -> str:
    """``38 of 40 failed, 2 of 40 succeeded``."""
    counts, total = Counter(one.phase for one in members), len(members)
    if len(counts) == 1:
        return f"{total} {VERBS[members[0].phase]}"
    return ", ".join(f"{counts[phase]} of {total} {VERBS[phase]}" for phase in ORDER[:3] if counts[phase])


def _listed(members: Sequence[Member]) -> str:
    """A line for each member, as many as fit into half of a body: escaping makes it longer."""
    lines: list[str] = []
    left = MAX_BODY // 2
    for number, one in enumerate(members):
        line = one_line(f"{one.name}: {one.phase}{f', {one.cause}' if one.cause else ''}")
        left -= len(line) + 1
        if left < 0:
            names = cut(", ".join(member.name for member in members[number:]), MAX_BODY // 4)
            lines.append(f"and {len(members) - number} more: {names}")
            break
        lines.append(line)
    return "\n".join(lines)
