"""A process of the controller that has not begun, and the API server that it would follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from execution_options.controller.process import Process
from execution_options.controller.runtime.settings import Settings
from support.listwatch import Collection, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from execution_options.kube.client import Kube


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[Kube]:
    async with serving(Collection(), tmp_path) as connection:
        yield connection


@pytest.fixture
async def process(kube: Kube) -> AsyncIterator[Process]:
    made = Process(kube, Settings(namespace="system"))
    yield made
    await made.parts.lease_kube.close()
    await made.parts.providers.close()
