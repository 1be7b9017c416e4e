from __future__ import annotations

import pytest

from execution_options.cluster.binaries import Programs, locate
from execution_options.cluster.progress import Progress


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The control plane's programs, so that no test waits for a build within its own time limit."""
    return locate(Progress())
