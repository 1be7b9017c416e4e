"""An SMTP server with TLS, authentication and refusals."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from support.serving import HOST, Threaded

if TYPE_CHECKING:
    import ssl
    from email.message import EmailMessage


@dataclass(frozen=True)
class Mail:
    """One message that was accepted."""

    sender: str
    recipients: list[str]
    message: EmailMessage
    user: str
    """Who authenticated; empty for nobody."""
    encrypted: bool

    def part(self, subtype: Literal["plain", "html"]) -> str:
        """The text of one alternative."""
        found = self.message.get_body((subtype,))
        assert found is not None
        return str(found.get_content()).replace("\r\n", "\n")


class MailServer(Threaded):
    """Accepts mail.

    Args:
        tls: with it, the server offers STARTTLS, or is encrypted from the beginning where ``implicit``.
        accounts: passwords by user; without any, nobody has to authenticate.

    Attributes:
        refusals: what the server says to RCPT of an address, for example ``550 5.1.1 no such user``.
        at_data: what it says to a message instead of accepting it; ``"hang"`` and ``"reset"`` say nothing.
        on_connect: ``"hang"`` is a server that never greets, ``"reset"`` one that hangs up.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        implicit: bool = False,
        accounts: dict[str, str] | None = None,
        smtputf8: bool = True,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        super().__init__()
        self._tls = tls
        self._implicit = implicit
        self._accounts = accounts or {}
        self._smtputf8 = smtputf8
        self._host, self.port = host, port
        self.mails: list[Mail] = []
        self.refusals: dict[str, str] = {}
        self.at_data = ""
        self.on_connect = ""
        self.connections = 0

    async def open(self) -> None:
        starttls = self._tls if not self._implicit else None
        self._server = await self.loop.create_server(
            lambda: self._protocol(starttls), self._host, self.port, ssl=self._tls if self._implicit else None
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def _protocol(self, starttls: ssl.SSLContext | None) -> asyncio.BaseProtocol:
        self.connections += 1
        if self.on_connect:
            return _Mute(hang=self.on_connect == "hang")
        server = SMTP(
            self,
            loop=self.loop,
            hostname="mail.test",
            tls_context=starttls,
            require_starttls=starttls is not None,
            auth_required=bool(self._accounts),
            authenticator=self._authenticate,
            enable_SMTPUTF8=self._smtputf8,
        )
        # It does not see that the connection was encrypted before it began, and warns where it is told.
        server._auth_require_tls = not self._implicit
        return server

    async def close(self) -> None:
        self._server.close()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        right = self._accounts.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=right, auth_data=data.login.decode() if right else None, handled=False)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd looks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.at_data == "hang":
            await asyncio.sleep(3600)
        if self.at_data == "reset":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 gone"
        if self.at_data:
            return self.at_data
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        self.mails.append(
            Mail(
                envelope.mail_from or "",
                list(envelope.rcpt_tos),
                email.message_from_bytes(content, policy=email.policy.default),
                session.auth_data or "",
                session.ssl is not None or self._implicit,
            )
        )
        return f"250 OK queued as {len(self.mails)}"


class _Mute(asyncio.Protocol):
    def __init__(self, *, hang: bool) -> None:
        self._hang = hang

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._hang:
            transport.close()
