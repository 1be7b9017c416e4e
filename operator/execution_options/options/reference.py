"""The annotation ``execution.dev/options``: options that are passed when an execution is started."""

from __future__ import annotations

import re

from msgspec import Struct

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_ANNOTATION, OPTIONS_KIND

OPT_OUT = "none"
CLUSTER_PREFIX = "cluster/"
MAX_TARGETS = 16
MAX_NAME = 253

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class InvalidReferenceError(ValueError):
    """The text of the annotation is not a reference. The message says what would be right."""


class Target(Struct, frozen=True):
    """An options object that a reference names."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{CLUSTER_PREFIX}{self.name}" if self.kind == CLUSTER_OPTIONS_KIND else self.name


class Reference(Struct, frozen=True):
    """A parsed reference.

    Attributes:
        targets: options that it names; a later one wins.
        opt_out: whether it opts out of all options that are not enforced.
    """

    targets: tuple[Target, ...] = ()
    opt_out: bool = False


def parse(text: str | None) -> Reference | None:
    """Parse the annotation's value; ``None`` if there is no annotation.

    Raises:
        InvalidReferenceError: the text is neither ``none`` nor a comma-separated list of names.
    """
    if text is None:
        return None
    words = [word.strip() for word in text.split(",")]
    if words == [OPT_OUT]:
        return Reference(opt_out=True)
    if len(words) > MAX_TARGETS:
        raise InvalidReferenceError(
            f"{OPTIONS_ANNOTATION} names {len(words)} options, at most {MAX_TARGETS} are allowed"
        )
    targets: dict[Target, None] = {}
    for word in words:
        kind = CLUSTER_OPTIONS_KIND if word.startswith(CLUSTER_PREFIX) else OPTIONS_KIND
        name = word.removeprefix(CLUSTER_PREFIX)
        if word == OPT_OUT:
            raise InvalidReferenceError(
                f"{OPTIONS_ANNOTATION}: {OPT_OUT!r} opts out of all options, so it must stand alone"
            )
        if len(name) > MAX_NAME or not _NAME.fullmatch(name):
            raise InvalidReferenceError(
                f"{OPTIONS_ANNOTATION}: {_shown(word)} is not a name of options; write the name of ExecutionOptions of "
                f"this namespace, {CLUSTER_PREFIX}<name> for ClusterExecutionOptions, several separated by commas, "
                f"or {OPT_OUT!r}"
            )
        target = Target(kind, name)
        targets.pop(target, None)  # only the last place of a repeated name counts
        targets[target] = None
    return Reference(targets=tuple(targets))


def _shown(word: str) -> str:
    """The word, cut to fit into an Event and an answer of the API server."""
    return repr(word if len(word) <= MAX_NAME else f"{word[:MAX_NAME]}…")


def parse_flag(annotation: str, text: str | None) -> bool | None:
    """Parse an annotation that is ``true`` or ``false``; ``None`` if it is absent.

    Args:
        annotation: name of the annotation.
        text: its value; ``None`` if it is absent.

    Raises:
        InvalidReferenceError: the value is neither.
    """
    if text is None:
        return None
    if text not in ("true", "false"):
        raise InvalidReferenceError(f'{annotation} is {text!r}, write "true" or "false"')
    return text == "true"
