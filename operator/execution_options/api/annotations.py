"""Size of annotations that Kubernetes accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANNOTATIONS: Final = 256 * 1024
"""Bytes of keys and values together, in each ``metadata`` of an object:
https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/api/validation/objectmeta.go (TotalAnnotationSizeLimitB)"""


def annotations_size(annotations: Mapping[str, object] | None) -> int:
    """Return the bytes of annotations; a value that is not text counts as empty."""
    return sum(
        len(key.encode()) + len(value.encode()) for key, value in (annotations or {}).items() if isinstance(value, str)
    )
