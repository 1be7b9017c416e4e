"""What is sent to launch a workflow: its manifest, with options in it. Pure."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec
import yaml

from execution_options.api import decoding
from execution_options.api.decoding import UnreadableError
from execution_options.api.names import INLINE_ANNOTATION, OPTIONS_ANNOTATION
from execution_options.options import inline, reference
from execution_options.sdk.options import Options

if TYPE_CHECKING:
    from collections.abc import Sequence


@runtime_checkable
class Convertible(Protocol):
    """A workflow as Hera has it: an object with a manifest."""

    def to_dict(self) -> Any:
        """Return the manifest."""


Workflow = Mapping[str, Any] | str | Path | Convertible
"""A manifest as a dict, as text (YAML or JSON), in a file, or of an object that can be converted into one."""


def manifest_of(workflow: Workflow) -> dict[str, Any]:
    """The manifest of a workflow, which is the caller's to change.

    Args:
        workflow: a text is YAML or JSON; what has no line break and ends in .yaml, .yml or .json is a path.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no manifest, or more than one.
    """
    if isinstance(workflow, Path) or (isinstance(workflow, str) and _is_path(workflow)):
        workflow = Path(workflow).read_text()
    if isinstance(workflow, str):
        workflow = _parsed(workflow)
    elif not isinstance(workflow, Mapping):
        workflow = _converted(workflow)
    if not isinstance(workflow, Mapping):
        raise ValueError(f"a workflow is a manifest, not {type(workflow).__name__}")  # noqa: TRY004 - one error for all
    made = copy.deepcopy(dict(workflow))
    for field in ("apiVersion", "kind"):
        if not isinstance(made.get(field), str) or not made[field]:
            raise ValueError(f"{field} is missing: a workflow is a manifest, as kubectl create takes it")
    if not isinstance(made.setdefault("metadata", {}), dict):
        raise ValueError("metadata must be a map")  # noqa: TRY004 - one error for all
    return made


def spec_of(options: Options | Mapping[str, Any] | object | None) -> dict[str, Any]:
    """The spec that options state.

    Args:
        options: ``Options`` of this package or of flytekit, or a spec as a dict.

    Raises:
        ValueError: they are not valid, or cannot be inline.
        TypeError: they are of another type.
    """
    if options is None:
        return {}
    if isinstance(options, Mapping):
        spec = copy.deepcopy(dict(options))
    else:
        own = options if isinstance(options, Options) else Options.from_flytekit(options)
        if own.namespace_selector is not None:
            raise ValueError("namespace_selector: options of one execution select nothing")
        spec = own.to_manifest(name="inline")["spec"]
    inline.parse(_text(spec))
    return spec


def with_options(
    workflow: Workflow,
    spec: Mapping[str, Any],
    references: Sequence[str] = (),
    *,
    name: str | None = None,
    generate_name: str | None = None,
) -> dict[str, Any]:
    """The manifest of a workflow with options.

    Args:
        workflow: what to launch.
        spec: inline options; an empty one adds nothing.
        references: names of options to refer to, instead of those in the manifest; a later one wins.
        name: instead of the name in the manifest.
        generate_name: what a unique name begins with, instead of the name in the manifest.

    Raises:
        ValueError: it is no manifest, or has inline options of its own.
    """
    made = manifest_of(workflow)
    metadata: dict[str, Any] = made["metadata"]
    if name or generate_name:
        metadata.pop("name", None)
        metadata.pop("generateName", None)
        metadata |= {"name": name} if name else {"generateName": generate_name}
    elif not metadata.get("name") and not metadata.get("generateName"):
        metadata["generateName"] = f"{made['kind'].lower()}-"
    annotations = dict(metadata.get("annotations") or {})
    if references:
        annotations[OPTIONS_ANNOTATION] = ",".join(references)
        reference.parse(annotations[OPTIONS_ANNOTATION])
    if spec:
        if INLINE_ANNOTATION in annotations:
            raise ValueError(f"the manifest has the annotation {INLINE_ANNOTATION} already")
        annotations[INLINE_ANNOTATION] = _text(spec)
    if annotations:
        metadata["annotations"] = annotations
    return made


def _text(spec: Mapping[str, Any]) -> str:
    return msgspec.json.encode(spec).decode()


def _is_path(text: str) -> bool:
    return "\n" not in text and text.endswith((".yaml", ".yml", ".json"))


def _parsed(text: str) -> Any:
    try:
        # By way of JSON, as the API server gets it.
        given = msgspec.json.encode([one for one in yaml.safe_load_all(text) if one])
        documents = decoding.read(given, list[Any])
    except (yaml.YAMLError, TypeError, RecursionError, UnreadableError) as error:
        raise ValueError(f"a workflow is YAML or JSON: {' '.join(str(error).split())}") from error
    if len(documents) != 1:
        raise ValueError(f"a workflow is one manifest, these are {len(documents)}")
    return documents[0]


def _converted(workflow: object) -> Any:
    """The manifest of an object: of Hera, or a model of the kubernetes client, whose ``to_dict`` is none."""
    names: Mapping[str, str] | None = getattr(workflow, "attribute_map", None)
    if names is not None:
        values = {wire: getattr(workflow, name) for name, wire in names.items()}
        return {wire: _plain(value) for wire, value in values.items() if value is not None}
    if isinstance(workflow, Convertible):
        return workflow.to_dict()
    raise ValueError(f"a workflow is a manifest, not {type(workflow).__name__}")


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return _converted(value) if hasattr(value, "attribute_map") else value
