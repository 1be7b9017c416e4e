"""Sends by a channel of any type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import UNSET, structs

from execution_options.providers import pagerduty, services, slack, smtp, webhook
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
"""Longest text of an answer, in characters."""
SECONDS: Final = 20.0
"""Default time-out of one request, or one mail, in seconds."""


class Providers:
    """Sends by channels of all types, over one pool of connections.

    Args:
        outbound: decides which addresses may be connected to.
        seconds: time-out of one request, or of each mail of a delivery.
        proxies: proxies for HTTP; none if absent.
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
        """Make one attempt. Failures of the service and references that lead nowhere are answers, not errors.

        Args:
            spec: spec of the channel.
            material: data of the Secrets and ConfigMaps that the channel refers to.
            parcel: the message and its recipients.

        Returns:
            An answer for each recipient, without any secret.
        """
        try:
            answers = await self._send(spec, material, parcel)
        except UnansweredError as error:
            answers = dict.fromkeys(parcel.recipients, error.answer)
        except MaterialError as error:
            # Somebody can correct the reference, and then the message must still arrive.
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
        return await services.send(http, spec, material, parcel)


def _shown(text: str, material: Material) -> str:
    """The text for a status: one line. It is masked before it is cut, since even half a secret must not show."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in material.masked(text)).split())
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"
