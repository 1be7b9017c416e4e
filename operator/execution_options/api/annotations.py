"""How much annotations of one object Kubernetes takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANNOTATIONS: Final = 256 * 1024
"""Of keys and values together, of each ``metadata`` in an object:
https://github.com/kubernetes/apimachinery/blob/v0.37.2/pkg/api/validation/objectmeta.go (TotalAnnotationSizeLimitB)"""


def annotations_size(annotations: Mapping[str, object] | None) -> int:
    """Bytes of annotations; what is no text has none."""
    return sum(
        len(key.encode()) + len(value.encode()) for key, value in (annotations or {}).items() if isinstance(value, str)
    )
