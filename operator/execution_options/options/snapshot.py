"""The snapshot: the options of an execution, frozen when it is created."""

from __future__ import annotations

import random
from typing import Any

import msgspec
from msgspec import UNSET, Struct, field, structs

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.names import OPTIONS_KIND
from execution_options.api.size import MAX_SNAPSHOT
from execution_options.api.stored import unknown_fields
from execution_options.options.levels import Layer


class SnapshotTooLargeError(ValueError):
    """The options of one execution do not fit into its snapshot. The message says how large they are."""


class InvalidSnapshotError(ValueError):
    """The text of the annotation is not a snapshot."""


class Snapshot(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The frozen options of an execution: its identifier, layers (lowest first), and the author's replaced values.

    The layers are stored, not their merge. When one of them is edited, the values of the others are still there, and
    ``explain`` prints everything from them.
    """

    id: str
    layers: tuple[Layer, ...] = ()
    location: str = ""
    """The execution's own storage location; empty if it has none."""
    account: str = ""
    """The service account that options gave it; empty if it keeps its author's, or has none."""
    authored: dict[str, str] = field(default_factory=dict)
    """The author's values that options concern, by JSON Pointer into the execution."""
    found_by: tuple[str, ...] = ()
    """Keys of labels that options never replace, because the client finds the execution by them."""


def new_id() -> str:
    """A new identifier: 16 hexadecimal digits, 64 random bits."""
    return f"{_RANDOM.getrandbits(64):016x}"


def frozen(layer: Layer) -> Layer:
    """A layer without the fields that only selection needs."""
    selected_by = ("selector", "namespace_selector", "mode", "priority")
    kept = {
        name: value
        for name, value in structs.asdict(layer.spec).items()
        if name not in selected_by and value is not UNSET
    }
    return Layer(layer.source, ExecutionOptionsSpec(**kept))


def without_labels(layers: tuple[Layer, ...], keys: tuple[str, ...]) -> tuple[Layer, ...]:
    """Layers without some labels.

    Args:
        layers: the layers.
        keys: keys of the labels.
    """
    return tuple(
        Layer(layer.source, structs.replace(layer.spec, labels={k: v for k, v in labels.items() if k not in keys}))
        if (labels := layer.spec.labels) and not labels.keys().isdisjoint(keys)
        else layer
        for layer in layers
    )


def encode(snapshot: Snapshot) -> str:
    """The annotation's text: compact JSON.

    Raises:
        SnapshotTooLargeError: the text is larger than 16 KiB.
    """
    data = msgspec.json.encode(snapshot)
    if len(data) > MAX_SNAPSHOT:
        sizes = {str(layer.source): len(msgspec.json.encode(layer.spec)) for layer in snapshot.layers}
        sizes["what the author wrote"] = len(msgspec.json.encode(snapshot.authored))
        largest = max(sizes, key=lambda source: sizes[source])
        raise SnapshotTooLargeError(
            f"the options of this execution take {len(data)} bytes together, at most {MAX_SNAPSHOT} fit; "
            f"the largest is {largest} with {sizes[largest]} bytes"
        )
    return data.decode()


def decode(text: str) -> Snapshot:
    """Decode the text of :func:`encode`. Fields that a newer version of the operator wrote are left out.

    Raises:
        InvalidSnapshotError: the text is not a snapshot.
    """
    try:
        return decoding.read(text, Snapshot)
    except UnreadableError as error:
        try:
            return _without_unknown_fields(text)
        except (msgspec.MsgspecError, RecursionError, AttributeError, LookupError, TypeError):
            raise InvalidSnapshotError(str(error)) from error


def _without_unknown_fields(text: str) -> Snapshot:
    document = decoding.read(text, dict[str, Any])
    for layer in document.get("layers", ()):
        layer["spec"], _ = unknown_fields(layer["spec"], OPTIONS_KIND)
    return msgspec.convert(document, Snapshot)


_RANDOM = random.Random()  # noqa: S311 - identifiers are no secrets, and asking the system each time is slow
