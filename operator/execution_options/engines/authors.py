"""Values that the author of an execution wrote where options have a value, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET, UnsetType

from execution_options.api.model import EnvVar, ExecutionOptionsSpec
from execution_options.api.names import BARE_PREFIX_ENV, PREFIX_ENV
from execution_options.api.security_context import RunAs, SecurityContext
from execution_options.engines import fields
from execution_options.engines.patch import parts
from execution_options.engines.translate import environment
from execution_options.options.levels import Layer, Level, Source, Sourced, prevails
from execution_options.options.merge import SCALARS_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.options.merge import Effective


def author_layer(authored: Mapping[str, str], kind: str, name: str) -> Layer:
    """Return the author's values as a layer.

    If the execution and its pod templates differ, those of the pod templates are used: options are about pods.

    Args:
        authored: as :func:`execution_options.engines.translate.translate` returns them.
        kind: of the execution.
        name: of the execution.
    """
    written: dict[str, dict[str, str]] = {"labels": {}, "annotations": {}, "env": {}}
    account: str | UnsetType = UNSET
    parallelism: list[int] = []
    for at in sorted(authored, key=lambda at: (not at.startswith("/metadata/"), at)):
        *_, field, key = parts(at)
        option = fields.option_of(at)
        if option == fields.PARALLELISM:
            parallelism.append(int(authored[at]))
        elif option in (fields.CACHE, fields.LOCATION):
            # The notes show these: the engine's field has another meaning than the option.
            continue
        elif (field := option or field) in written:
            # The variables of the storage location do not belong to the option envs.
            if key not in (PREFIX_ENV, BARE_PREFIX_ENV):
                written[field][key] = authored[at]
        else:
            account = authored[at]
    spec = ExecutionOptionsSpec(
        labels=written["labels"],
        annotations=written["annotations"],
        envs=tuple(EnvVar(name=key, value=value) for key, value in written["env"].items()),
        security_context=SecurityContext(run_as=RunAs(k8s_service_account=account)),
        max_parallelism=min(parallelism, default=UNSET),
    )
    return Layer(Source(Level.AUTHOR, kind, name), spec)


def notes(authored: Mapping[str, str], effective: Effective) -> list[str]:
    """Return a sentence for each value of the author that options replaced, or that stays although options differ.

    Args:
        authored: as :func:`execution_options.engines.translate.translate` returns them.
        effective: options of the execution.
    """
    sentences: dict[str, None] = {}
    run_as = effective.run_as
    account = None if run_as is None else Sourced(run_as.value.k8s_service_account or "default", run_as.source)
    envs = environment(effective, "this execution's own location")
    for at, written in authored.items():
        *_, kind, last = parts(at)
        option = fields.option_of(at)
        if option in _FIELDS:
            sentence = _field_note(option, last, written, effective)
            sentences |= {sentence: None} if sentence else {}
            continue
        kind = option or kind
        wanted = {"labels": effective.labels, "annotations": effective.annotations, "env": envs}.get(kind, {}).get(last)
        what = f"{_SINGULAR.get(kind, kind)} {last}"
        if kind not in _SINGULAR:
            wanted, what = account, last
        if wanted is None or wanted.value == written:
            continue
        if prevails(wanted, written):
            sentences[f"{what}: {wanted.source} made it {wanted.value!r}, its author wrote {written!r}"] = None
        else:
            sentences[f"{what}: stays {written!r} as its author wrote it, {wanted.source} says {wanted.value!r}"] = None
    return list(sentences)


def _field_note(option: str, name: str, written: str, effective: Effective) -> str:
    """Return the sentence for a single field that the author wrote; empty if there is nothing to report."""
    wanted: Sourced[Any] | None = getattr(effective, _FIELDS[option])
    if wanted is None:
        return ""
    if option == fields.CACHE:
        return f"{name}: {wanted.source} passes the cache by, its author wrote {written!r}"
    if option == fields.PARALLELISM and not 0 < wanted.value < int(written):
        return ""
    what = f"{option} {wanted.value!r} of {wanted.source}"
    if prevails(wanted, written):
        return f"{name}: {what} replaces {written!r}, which its author wrote"
    return f"{name}: stays {written!r} as its author wrote it, in spite of {what}"


_FIELDS: Final = {
    scalar.path.partition(".")[0]: scalar.name
    for scalars in SCALARS_OF.values()
    for scalar in scalars
    if scalar.path.partition(".")[0] in (fields.PARALLELISM, fields.CACHE, fields.LOCATION)
}
"""Option in a record key → field of the effective options."""

_SINGULAR = {"labels": "label", "annotations": "annotation", "env": "env"}
