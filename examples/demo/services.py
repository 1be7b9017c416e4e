"""Stand-ins for a mail server, Slack and PagerDuty on this machine: they take what they are sent, and keep it."""

from __future__ import annotations

import email
import email.policy
import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage

HOST = "127.0.0.1"


class Services:
    """What arrived; Slack says once that it is busy."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.posted: dict[str, list[Any]] = {"/api/chat.postMessage": [], "/v2/enqueue": []}
        self.slack_is_busy = True
        self.smtp_port = self.http_port = 0

    @property
    def slack(self) -> list[Any]:
        """Messages that Slack took."""
        return self.posted["/api/chat.postMessage"]

    @property
    def pagerduty(self) -> list[Any]:
        """Events that PagerDuty took."""
        return self.posted["/v2/enqueue"]

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a mail."""
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    def answer(self, path: str, body: Any) -> tuple[int, dict[str, str], dict[str, Any]]:
        """What an HTTP request is answered: status, headers, body."""
        if path.endswith("chat.postMessage") and self.slack_is_busy:
            self.slack_is_busy = False
            return 429, {"Retry-After": "2"}, {"ok": False, "error": "ratelimited"}
        self.posted[path].append(body)
        if path == "/v2/enqueue":
            return 202, {}, {"status": "success"}
        return 200, {}, {"ok": True, "channel": "C024BE91L", "ts": f"{len(self.slack)}.000100"}


@contextmanager
def services() -> Iterator[Services]:
    """All of them, as long as the demo takes."""
    kept = Services()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, answer = kept.answer(self.path, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (
                headers | {"Content-Type": "application/json", "Content-Length": str(len(data))}
            ).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer((HOST, 0), Handler)
    with socket.create_server((HOST, 0)) as free:
        kept.smtp_port = free.getsockname()[1]  # aiosmtpd needs a number
    smtp = Controller(kept, hostname=HOST, port=kept.smtp_port)
    kept.http_port = http.server_port
    threading.Thread(target=http.serve_forever, daemon=True).start()
    smtp.start()
    try:
        yield kept
    finally:
        smtp.stop()
        http.shutdown()
        http.server_close()
