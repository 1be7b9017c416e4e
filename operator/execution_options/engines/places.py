"""Places of an execution to which options are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.engines.paths import Path, locate, lookup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from execution_options.engines.profile import Engine


def metadata_places(engine: Engine, execution: dict[str, Any]) -> list[Path]:
    """Return the places of all ``metadata`` that get options: the execution's first, then those of its pods."""
    templates = ((*template, "metadata") for template in engine.templates(execution))
    others = (place for text in engine.pod_metadata for place in locate(execution, text))
    return list(dict.fromkeys([("metadata",), *templates, *others]))


def prevailing_places(engine: Engine, execution: dict[str, Any]) -> list[Path]:
    """Return the places of ``metadata`` that win in the engine over :func:`metadata_places`."""
    found = (place for text in engine.prevailing_metadata for place in locate(execution, text))
    return [place for place in dict.fromkeys(found) if isinstance(lookup(execution, place), dict)]


def account_places(engine: Engine, execution: dict[str, Any]) -> Iterator[Path]:
    """Yield the places of fields with the service account of the execution's pods."""
    yield from ((*template, "spec", "serviceAccountName") for template in engine.templates(execution))
    yield from (place for text in engine.service_account_names for place in locate(execution, text))


def env_places(engine: Engine, execution: dict[str, Any]) -> Iterator[Path]:
    """Yield the places of lists of environment variables of the execution's pods."""
    for template in engine.templates(execution):
        for kind in ("initContainers", "containers"):
            for index in range(len(lookup(execution, (*template, "spec", kind)) or ())):
                yield (*template, "spec", kind, index, "env")
    yield from (place for text in engine.envs for place in locate(execution, text))
