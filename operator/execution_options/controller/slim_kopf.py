"""kopf without the official client: it imports that, where it is installed, to recognise its objects.

Nothing here gives it such objects, and the import is a third of the process: 28 MB, and of a start 0.3 s.
"""

from __future__ import annotations

import sys

_CLIENT = "kubernetes"
_spared = _CLIENT not in sys.modules
if _spared:
    # To kopf it is as if it were not installed, which it is made for:
    # https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules[_CLIENT] = None  # type: ignore[assignment]
try:
    import kopf
finally:
    if _spared:
        del sys.modules[_CLIENT]

__all__ = ["kopf"]
