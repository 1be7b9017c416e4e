"""An SMTP server that says what a test has it say, and keeps what it hears byte for byte."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.serving import HOST, Threaded

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from email.message import EmailMessage


@dataclass(frozen=True)
class Letter:
    """One message that was accepted, with the commands before it."""

    mail: str
    rcpt: str
    content: bytes

    @property
    def head(self) -> bytes:
        return self.content.partition(b"\r\n\r\n")[0]

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)


class PlainServer(Threaded):
    """Accepts mail as old servers do: it takes 8-bit bytes only where it offers that, and was asked.

    Args:
        extensions: what EHLO offers.
        says: answers by verb (``BANNER`` for the first, ``.`` for the message) instead of a success, in bytes of
            Latin-1, perhaps of several lines.
        full_names: refuse clients that do not give a full name or an address in EHLO, as late as Postfix does.
        ehlo: whether it knows EHLO at all.
        tls: with it, connections are encrypted from the beginning.
    """

    def __init__(
        self,
        *extensions: str,
        says: Mapping[str, str] | None = None,
        full_names: bool = False,
        ehlo: bool = True,
        tls: ssl.SSLContext | None = None,
        host: str = HOST,
        port: int = 0,
    ) -> None:
        super().__init__()
        self._offers = extensions
        self._says = dict(says or {})
        self._full_names = full_names
        self._ehlo = ehlo
        self._tls = tls
        self._host, self.port = host, port
        self.names: list[str] = []
        """What clients called themselves."""
        self.commands: list[str] = []
        self.letters: list[Letter] = []

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode("latin-1") + b"\r\n")

        say(self._says.get("BANNER", "220 mail.test ESMTP"))
        name = mail = rcpt = ""
        while line := await reader.readline():
            command = line.decode("utf-8").strip()
            self.commands.append(command)
            verb, _, rest = command.partition(" ")
            asked = "SMTPUTF8" in mail + rest and "SMTPUTF8" in self._offers
            answer = self._says.get(verb, "250 2.0.0 Ok")
            if verb == "EHLO" and verb not in self._says:
                name = rest
                lines = ["mail.test", *self._offers]
                answer = "\r\n".join(f"250{'-' if one is not lines[-1] else ' '}{one}" for one in lines)
                answer = answer if self._ehlo else "500 5.5.1 Command unrecognized"
            elif verb == "HELO":
                name = rest
            elif verb in ("MAIL", "RCPT") and not command.isascii() and not asked:
                answer = "501 5.5.4 the address is not ASCII"
            elif verb == "RCPT" and self._full_names and "." not in name:
                answer = f"504 5.5.2 <{name}>: Helo command rejected: need fully-qualified hostname"
            if verb == "MAIL":
                mail = command
            elif verb == "RCPT":
                rcpt = command
            elif verb == "DATA" and verb not in self._says:
                say("354 go ahead")
                content = b""
                while (one := await reader.readline()) not in (b".\r\n", b""):
                    content += one
                answer = self._says.get(".") or self._judged(content, mail)
                if answer.startswith("250"):
                    self.letters.append(Letter(mail, rcpt, content))
            if name and name not in self.names:
                self.names.append(name)
            say("221 2.0.0 bye" if verb == "QUIT" else answer)
            if verb == "QUIT":
                break
        writer.close()

    def _judged(self, content: bytes, mail: str) -> str:
        head, _, body = content.partition(b"\r\n\r\n")
        if not head.isascii() and "SMTPUTF8" not in mail:
            return "550 5.6.7 UTF-8 in headers, and SMTPUTF8 was not asked for"
        if not body.isascii() and "BODY=8BITMIME" not in mail:
            return "550 5.6.3 8-bit data, and 8BITMIME was not asked for"
        if any(len(line) > 998 for line in content.split(b"\r\n")):
            return "500 5.5.2 a line is too long"
        return "250 2.0.0 Ok: queued"
