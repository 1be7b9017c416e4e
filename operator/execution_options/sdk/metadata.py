"""Flyte's labels and annotations: ``flytekit.models.common``. A dict does as well."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 (needed at run time by whoever resolves the annotations)
from dataclasses import dataclass


@dataclass
class Labels:
    """Labels of an execution; ``flytekit.models.common.Labels``.

    Args:
        values: Keys and values.
    """

    values: Mapping[str, str]


@dataclass
class Annotations:
    """Annotations of an execution; ``flytekit.models.common.Annotations``.

    Args:
        values: Keys and values.
    """

    values: Mapping[str, str]
