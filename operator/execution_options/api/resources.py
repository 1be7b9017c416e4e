"""``ExecutionOptions`` and ``ClusterExecutionOptions`` as objects: applied by users, stored by the API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from execution_options.api import validation
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.problem import InvalidOptionsError, Problem
from execution_options.api.stored import read_spec, unknown_fields
from execution_options.api.validation import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from msgspec import Raw


class OptionsObject(Struct, frozen=True, kw_only=True):
    """One object.

    Attributes:
        namespace: ``None`` for cluster options.
        uid: empty if the object comes from a manifest, like ``resource_version``, ``generation`` (0) and
            ``creation_timestamp`` (RFC 3339).
        unknown_fields: paths of fields that a newer version wrote and this one ignores.
    """

    kind: str
    name: str
    namespace: str | None = None
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    spec: ExecutionOptionsSpec
    unknown_fields: tuple[str, ...] = ()

    @property
    def output_location_prefix(self) -> str:
        """The storage prefix; empty if the options have none."""
        config = self.spec.raw_output_data_config
        return "" if config is UNSET else config.output_location_prefix


def load(manifest: Mapping[str, Any]) -> OptionsObject:
    """Return the object of a manifest.

    Raises:
        InvalidOptionsError: the API server would refuse it; with every problem.
    """
    found = validation.manifest_problems(manifest)
    if found:
        raise InvalidOptionsError(found)
    return _object(manifest, validation.decoded(manifest["spec"], manifest["kind"]))


def from_api(stored: Mapping[str, Any]) -> OptionsObject:
    """Return an object that the API server has stored, without fields that this version does not know.

    Raises:
        InvalidOptionsError: a known field has a value that this version does not understand. The caller reports that
            and works without the object.
    """
    kind, spec = stored.get("kind"), stored.get("spec")
    if not isinstance(kind, str) or kind not in OPTIONS:
        raise InvalidOptionsError([Problem("kind", f"must be one of {', '.join(OPTIONS)}")])
    if not isinstance(spec, dict):
        raise InvalidOptionsError([Problem("spec", "must be a map")])
    known, unknown = unknown_fields(spec, kind)
    return _object(stored, validation.decoded(known, kind, stored=True), unknown)


def read_stored(kind: str, metadata: Mapping[str, Any], spec: Raw) -> OptionsObject:
    """Return a stored object like :func:`from_api`, from a spec that is still JSON. It takes a tenth of the time.

    Args:
        kind: a kind of options.
        metadata: plain data.
        spec: JSON.

    Raises:
        InvalidOptionsError: as :func:`from_api`.
    """
    try:
        found, unknown = read_spec(spec, kind)
    except UnreadableError:
        raise InvalidOptionsError([Problem("spec", "must be a map")]) from None
    return _object({"kind": kind, "metadata": metadata}, found, unknown)


def _object(raw: Mapping[str, Any], spec: ExecutionOptionsSpec, unknown: tuple[str, ...] = ()) -> OptionsObject:
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    return OptionsObject(
        kind=raw["kind"],
        name=_text(metadata, "name"),
        namespace=_text(metadata, "namespace") or None,
        uid=_text(metadata, "uid"),
        resource_version=_text(metadata, "resourceVersion"),
        generation=metadata["generation"] if isinstance(metadata.get("generation"), int) else 0,
        creation_timestamp=_text(metadata, "creationTimestamp"),
        spec=spec,
        unknown_fields=unknown,
    )


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    return value if isinstance(value, str) else ""
