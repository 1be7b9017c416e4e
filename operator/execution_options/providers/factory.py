"""One way to send by any channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, structs

from execution_options.providers import pagerduty, slack, smtp, webhook
from execution_options.providers.answer import Answer, temporary
from execution_options.providers.http import Http, UnansweredError
from execution_options.providers.material import MaterialError

if TYPE_CHECKING:
    from execution_options.api.channel import NotificationChannelSpec
    from execution_options.providers.material import Material
    from execution_options.providers.outbound import Outbound
    from execution_options.providers.parcel import Parcel
    from execution_options.proxies import Proxies

MAX_TEXT: Final = 512
"""Characters of what a service says."""
SECONDS: Final = 20.0
"""For one request, or one mail."""


class Providers:
    """Sends by every kind of channel, over one pool of connections.

    Args:
        outbound: what may be connected to.
        seconds: for one request, or for each mail of a delivery.
        proxies: for HTTP; none if absent.
    """

    def __init__(self, outbound: Outbound, seconds: float = SECONDS, proxies: Proxies | None = None) -> None:
        self._outbound = outbound
        self._seconds = seconds
        self._http = Http(outbound, seconds, proxies)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()
        await self._outbound.close()

    async def send(self, spec: NotificationChannelSpec, material: Material, parcel: Parcel) -> dict[str, Answer]:
        """Try once; what became of it for each recipient, without any secret.

        What the other side does is no error here, nor is a reference that leads to nothing.
        """
        try:
            answers = await self._send(spec, material, parcel)
        except UnansweredError as error:
            answers = dict.fromkeys(parcel.recipients, error.answer)
        except MaterialError as error:
            # Somebody can put it right, and what is due must still arrive then.
            problem = temporary(error.reason, str(error), blames_channel=True)
            answers = dict.fromkeys(parcel.recipients, problem)
        return {who: structs.replace(answer, text=_shown(answer.text, material)) for who, answer in answers.items()}

    async def _send(self, spec: NotificationChannelSpec, material: Material, parcel: Parcel) -> dict[str, Answer]:
        if spec.email is not UNSET:
            return await smtp.send(self._outbound, self._seconds, spec.email, material, parcel)
        http = self._http.by("" if spec.proxy_url is UNSET else spec.proxy_url)
        if spec.slack is not UNSET:
            return await slack.send(http, spec.slack, material, parcel)
        if spec.pager_duty is not UNSET:
            return await pagerduty.send(http, spec.pager_duty, material, parcel)
        if spec.webhook is not UNSET:
            return await webhook.send(http, spec.webhook, material, parcel)
        raise ValueError("a channel without any way to send")


def _shown(text: str, material: Material) -> str:
    """The text for a status: one line, cut only after it was masked, since half a secret is one, too."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in material.masked(text)).split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"
