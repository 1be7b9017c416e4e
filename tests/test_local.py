"""The operator as processes of this machine."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from execution_options.local import LocalOperator
from support.proxy import Proxy
from support.services import WebhookReceiver

if TYPE_CHECKING:
    import pytest


def test_no_proxy_is_asked_whether_a_process_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    with WebhookReceiver() as process, Proxy(says="502 Bad Gateway") as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        operator = LocalOperator(None)
        monkeypatch.setitem(operator._health, "webhook", process.port)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as running:
            operator.processes["webhook"] = running
            operator.wait_ready("webhook")
            running.kill()
        assert proxy.asked == []
        assert [one.path for one in process.received] == ["/readyz"]
        operator._folder.cleanup()
