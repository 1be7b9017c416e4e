"""Size of options in the snapshot of an execution: an upper bound that the API server can compute.

The bound covers the snapshot's JSON (``options.snapshot``) with the longest name, generation and storage location that
an execution can have, so options within it fit into every snapshot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from execution_options.api.rule import literal, reporting

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SNAPSHOT: Final = 16 * 1024
"""Bytes of a snapshot. All annotations of one object may have 256 KiB."""

_ENVELOPE: Final = 1024
"""Bytes for the source of the options, and for all fields without a size of their own."""
_LOCATION: Final = 340
"""Bytes that an execution's own storage location adds to the prefix: namespace, name and identifier."""
_ITEM: Final = 6
_ENV: Final = 23
_NOTIFICATION: Final = 48
_CHANNEL: Final = 25
_TEMPLATE: Final = 40

_RARE: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
_RARE_CHARACTER: Final = re.compile(_RARE)
_IN_LINES: Final = '"\\'
_IN_TEXTS: Final = '"\\\n\r\t'


def _bytes(value: str) -> int:
    return len(value.encode(errors="surrogatepass"))


def _line(value: str) -> int:
    """Return the bytes of a string without control characters in JSON, without its quotes."""
    return _bytes(value) + sum(map(value.count, _IN_LINES))


def _text(value: str) -> int:
    """Return the bytes of any string in JSON, without its quotes, or a few more."""
    if _RARE_CHARACTER.search(value):
        return 6 * _bytes(value)
    return _bytes(value) + sum(map(value.count, _IN_TEXTS))


def _notification(value: Mapping[str, Any]) -> int:
    transport: Mapping[str, Any] = next((value[name] for name in _TRANSPORTS if name in value), {})
    template = value.get("template", {})
    return (
        _NOTIFICATION
        + sum(len(phase) + 3 for phase in value["phases"])
        + sum(_line(recipient) + 3 for recipient in transport.get("recipients", ()))
        + (_CHANNEL + len(value["channelRef"]["name"]) if "channelRef" in value else 0)
        + (_TEMPLATE + _line(template.get("subject", "")) + _text(template.get("body", "")) if template else 0)
    )


_TRANSPORTS: Final = ("email", "slack", "pagerDuty")


def parts(spec: Mapping[str, Any]) -> dict[str, int]:
    """Return an upper bound of the bytes of each part of a spec (plain data), by the name of its field."""
    run_as = spec.get("securityContext", {}).get("runAs", {})
    prefix = spec.get("rawOutputDataConfig", {}).get("outputLocationPrefix")
    return {
        "labels": sum(_ITEM + _bytes(key) + _bytes(value) for key, value in spec.get("labels", {}).items()),
        "annotations": sum(_ITEM + _bytes(key) + _text(value) for key, value in spec.get("annotations", {}).items()),
        "envs": sum(_ENV + _bytes(env["name"]) + _text(env["value"]) for env in spec.get("envs", ())),
        "notifications": sum(map(_notification, spec.get("notifications", ()))),
        "the rest": _ENVELOPE
        + 2 * _bytes(run_as.get("k8sServiceAccount", ""))
        + _line(run_as.get("iamRole", ""))
        + (0 if prefix is None else _LOCATION + 2 * _line(prefix)),
    }


def _cel_counts(value: str, characters: str) -> str:
    # A text has one part more than separators.
    pieces = "".join(f" + {value}.split({literal(one)}).size()" for one in characters)
    return f"size(bytes({value})){pieces} - {len(characters)}"


def _cel_line(value: str) -> str:
    return _cel_counts(value, _IN_LINES)


def _cel_text(value: str) -> str:
    return f"({value}.matches(r'{_RARE}') ? 6 * size(bytes({value})) : {_cel_counts(value, _IN_TEXTS)})"


def _cel_given(fields: str, size: str) -> str:
    """Return CEL that is ``size`` if all fields of a path like ``self.a.b`` are present, otherwise 0."""
    names = fields.split(".")
    has = " && ".join(f"has({'.'.join(names[:end])})" for end in range(2, len(names) + 1))
    return f"({has} ? {size} : 0)"


def _cel_sum(field: str, item: str) -> str:
    return _cel_given(f"self.{field}", f"self.{field}.map(x, {item}).sum()")


_CEL_RECIPIENTS = " + ".join(
    _cel_given(f"x.{name}", f"x.{name}.recipients.map(r, {_cel_line('r')} + 3).sum()") for name in _TRANSPORTS
)
_CEL_TEMPLATE = (
    f"{_TEMPLATE} + {_cel_given('x.template.subject', _cel_line('x.template.subject'))}"
    f" + {_cel_given('x.template.body', _cel_text('x.template.body'))}"
)
_CEL_NOTIFICATION = (
    f"{_NOTIFICATION} + x.phases.map(p, p.size() + 3).sum() + {_CEL_RECIPIENTS}"
    f" + {_cel_given('x.channelRef', f'{_CHANNEL} + x.channelRef.name.size()')}"
    f" + {_cel_given('x.template', _CEL_TEMPLATE)}"
)
_ROLE = "self.securityContext.runAs.iamRole"
_ACCOUNT = "self.securityContext.runAs.k8sServiceAccount"
_PREFIX = "self.rawOutputDataConfig.outputLocationPrefix"
_CEL_PARTS = {
    "labels": _cel_sum("labels", f"{_ITEM} + size(bytes(x)) + size(bytes(self.labels[x]))"),
    "annotations": _cel_sum("annotations", f"{_ITEM} + size(bytes(x)) + {_cel_text('self.annotations[x]')}"),
    "envs": _cel_sum("envs", f"{_ENV} + size(bytes(x.name)) + {_cel_text('x.value')}"),
    "notifications": _cel_sum("notifications", _CEL_NOTIFICATION),
    "the rest": f"{_ENVELOPE} + {_cel_given(_ACCOUNT, f'2 * size(bytes({_ACCOUNT}))')}"
    f" + {_cel_given(_ROLE, _cel_line(_ROLE))} + {_cel_given(_PREFIX, f'{_LOCATION} + 2 * ({_cel_line(_PREFIX)})')}",
}
_CEL = "[" + ", ".join(_CEL_PARTS.values()) + "]"


def _message(total: str, part: str, size: str) -> str:
    return (
        f"take {total} bytes of the snapshot of every execution, which holds {MAX_SNAPSHOT}; the largest part is "
        f"{part} with {size}: shorten it, by a mailing list in the place of many recipients for example"
    )


def _broken(spec: Mapping[str, Any]) -> str | None:
    found = parts(spec)
    total = sum(found.values())
    if total <= MAX_SNAPSHOT:
        return None
    part = max(found, key=lambda name: found[name])
    return _message(str(total), part, str(found[part]))


def _cel_number(value: str) -> str:
    """Return CEL of a number in decimal. The API server estimates an unbounded cost for string() of a number."""
    digits = "['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']"
    powers = [10**exponent for exponent in range(_DIGITS)]
    return " + ".join(
        f"({value} < {power} ? '' : {digits}[{value} / {power} % 10])" if power > 1 else f"{digits}[{value} % 10]"
        for power in reversed(powers)
    )


def _cel_message() -> str:
    names = list(_CEL_PARTS)
    largest = literal(names[-1])
    for number, name in reversed(list(enumerate(names[:-1]))):
        largest = f"p[{number}] == n[1] ? {literal(name)} : {largest}"
    marks = "(total)", "(part)", "(size)"
    text = literal(_message(*marks))
    for mark, cel in zip(marks, (_cel_number("n[0]"), f"({largest})", _cel_number("n[1]")), strict=True):
        text = text.replace(mark, f'" + {cel} + "')
    # Each map() names a value that is used more than once.
    return f"[{_CEL}].map(p, [[p.sum(), p.max()]].map(n, {text})[0])[0]"


_DIGITS: Final = 8

SNAPSHOT_SIZE: Final = reporting(
    "snapshot-size",
    f"{_CEL}.sum() <= {MAX_SNAPSHOT}",
    _cel_message(),
    _broken,
    _message("too many", "the longest list or text", "too many"),
)
