"""Beside the webhooks of others as these publish them: what options give is there when they judge, and stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from execution_options.cluster import Cluster, ControlPlane
from execution_options.kube.client import path_of
from execution_options.local import LocalOperator
from support.peers import Kueue, TektonWebhook
from support.programs import build_wanted
from support.waiting import eventually
from support.workloads import job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.controllerprocess import EngineController
    from support.team import Manifest, Team

pytestmark = [pytest.mark.e2e, pytest.mark.engines]

QUEUE = "kueue.x-k8s.io/queue-name"
