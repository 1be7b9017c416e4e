"""Whether an update is a manifest that is applied again, or an object that was read, changed and written.

A manifest lacks the values of options, and applying it removes them from lists: a merge patch, which ``kubectl apply``
makes for custom resources, and server-side apply both replace a list as a whole. An object that was read first has the
values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.names import ID_LABEL
from execution_options.engines.artifacts import shown
from execution_options.engines.fields import place_of
from execution_options.engines.managedfields import entries_of, holds
from execution_options.engines.patch import Patch, pointer
from execution_options.engines.paths import Path, locate, lookup
from execution_options.engines.places import account_places, env_places, metadata_places
from execution_options.engines.translate import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from execution_options.engines.profile import Engine
    from execution_options.options.merge import Effective
    from execution_options.options.snapshot import Snapshot

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The manifest that was last applied by a client.
https://kubernetes.io/docs/tasks/manage-kubernetes-objects/declarative-config/"""

_ID: Final[Path] = ("metadata", "labels", ID_LABEL)
_LAST_APPLIED: Final[Path] = ("metadata", "annotations", LAST_APPLIED)


def is_manifest(document: Mapping[str, Any], old: Mapping[str, Any], manager: str) -> bool | None:
    """Whether an update is a manifest, judged by its field managers; ``None`` if they do not show it.

    Args:
        document: the new object.
        old: the stored object.
        manager: the field manager that the request names; empty if there is none.
    """
    if lookup(document, _ID) is None:
        return True
    entries = entries_of(document)
    appliers = [entry for entry in entries if _applies(entry)]
    if not appliers:
        return None
    # The time of an entry is that of its manager's last change, in whole seconds.
    known = [_identity(entry) for entry in entries_of(old)]
    writing = [entry for entry in entries if _identity(entry) not in known]
    if manager:
        named = [entry for entry in entries if entry.get("manager") == manager]
        writing = [entry for entry in named if entry in writing] or named
        if not writing:
            return False
    if not writing:
        return None
    applied = [entry for entry in writing if entry in appliers]
    # A manifest that was exported from the cluster was read, too.
    return bool(applied) and not any(_knows(entry, document) for entry in applied)


def _applies(entry: Mapping[str, Any]) -> bool:
    return entry.get("operation") == "Apply" or holds(entry, _LAST_APPLIED)


def _identity(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in ("manager", "operation", "apiVersion", "time"))


def _knows(entry: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether the manifest that was applied has our identifier."""
    if entry.get("operation") == "Apply":
        return holds(entry, _ID)
    try:
        return lookup(decoding.read(lookup(document, _LAST_APPLIED) or "null", object), _ID) is not None
    except UnreadableError:
        return False


class Written:
    """The values that an update wrote, by place, and whether a manifest wrote them.

    A list counts as a whole: the outermost one that has the place.

    Args:
        engine: of both objects.
        document: the new object, as it was sent.
        old: the stored object.
        manifest: the result of :func:`is_manifest`.
        snapshot: of the execution.
        effective: the values of its options when it was created.
    """

    def __init__(
        self,
        engine: Engine,
        document: dict[str, Any],
        old: dict[str, Any],
        manifest: bool | None,
        snapshot: Snapshot,
        effective: Effective,
    ) -> None:
        self._document = document
        self._old = old
        # The API server refuses every change of an immutable template.
        self._always = manifest is True or engine.immutable_templates
        self._read = manifest is False
        self._authored = {place_of(at): value for at, value in snapshot.authored.items()}
        self._variables = {place for place in env_places(engine, document) if _list_of(place) is None}
        is_certain = self._always or manifest is False
        self._seen = set() if is_certain else set(_seen(engine, document, snapshot, effective, self._authored))

    def loses(self, path: Path) -> bool:
        """Whether the update wrote a manifest's value at a path, without the value of options."""
        unit, written, stored = self._unit(path)
        if written == stored:
            return False
        if self._always or self._read:
            return self._always
        if isinstance(stored, list) or isinstance(written, list):
            # A merge removes no list. If one list still has a value of options, the object was read, and so were all
            # lists, except lists of variables, which may have only variables of options.
            return written is not None and unit not in self._seen and not self._seen - self._variables
        # The author's original value again.
        return written is not None and shown(written) == self._authored.get(pointer(unit))

    def _unit(self, path: Path) -> tuple[Path, Any, Any]:
        written: Any = self._document
        stored: Any = self._old
        for depth, part in enumerate(path, 1):
            written, stored = (lookup(version, (part,)) for version in (written, stored))
            if written is None or stored is None or isinstance(written, list) or isinstance(stored, list):
                return path[:depth], written, stored
        return path, written, stored


def _list_of(path: Path) -> Path | None:
    """Path of the outermost list that has a place; ``None`` if there is none."""
    return next((path[:depth] for depth, part in enumerate(path) if isinstance(part, int)), None)


def _seen(
    engine: Engine,
    document: dict[str, Any],
    snapshot: Snapshot,
    effective: Effective,
    authored: Mapping[str, str],
) -> Iterator[Path]:
    """The lists with values that only options can have given.

    Args:
        engine: of the execution.
        document: the new object.
        snapshot: of the execution.
        effective: the values of its options.
        authored: JSON pointer → the author's value.
    """
    variables = {name: value.value for name, value in environment(effective, snapshot.location).items()}
    given = [((*place, "labels", ID_LABEL), snapshot.id) for place in metadata_places(engine, document)]
    account = UNSET if effective.run_as is None else effective.run_as.value.k8s_service_account
    if account is not UNSET and account:
        given += [(place, account) for place in account_places(engine, document)]
    for place in (place for text in engine.env_maps for place in locate(document, text)):
        given += [((*place, name), value) for name, value in variables.items()]
    for place, value in given:
        unit = _list_of(place)
        if unit is not None and lookup(document, place) == value != authored.get(pointer(place)):
            yield unit
    for place in env_places(engine, document):
        for entry in lookup(document, place) or ():
            name = entry.get("name")
            # A name of the author with another value is an edit by the author. Any other name was read.
            first = authored.get(pointer((*place, name)))
            if name in variables and (first is None or entry.get("value", "") == variables[name] != first):
                yield _list_of(place) or place


class Selective(Patch):
    """A patch that changes only places where the update lost a value of options.

    Args:
        patch: gets the changes.
        written: the values that the update wrote.
    """

    def __init__(self, patch: Patch, written: Written) -> None:
        self.document = patch.document
        self.operations = patch.operations
        self._added = patch._added
        self._written = written

    def put(self, path: Path, value: Any) -> None:
        if self._written.loses(path):
            super().put(path, value)

    def update(self, path: Path, values: Mapping[str, Any]) -> None:
        super().update(path, {key: value for key, value in values.items() if self._written.loses((*path, key))})

    def extend(self, path: Path, values: list[Any]) -> None:
        if self._written.loses(path):
            super().extend(path, values)

    def prepend(self, path: Path, values: list[Any]) -> None:
        if self._written.loses(path):
            super().prepend(path, values)

    def remove(self, path: Path) -> None:
        if self._written.loses(path):
            super().remove(path)
