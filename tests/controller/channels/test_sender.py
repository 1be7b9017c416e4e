"""Whatever is in the way of a channel is an answer, and says whether trying again is of use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import aiohttp
import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.controller.channels.sender import ChannelPost
from execution_options.kube.client import ApiError
from execution_options.notifications.message import Message
from execution_options.notifications.route import Channel, ChannelKey
from execution_options.providers.answer import accepted
from execution_options.providers.material import MaterialError
from execution_options.providers.parcel import Parcel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from execution_options.providers.answer import Answer

KEY = ChannelKey("team", "mail")
SPEC = msgspec.convert({"email": {"host": "mail.example.com", "from": "a@b.c"}}, NotificationChannelSpec)
PARCEL = Parcel(key="team/d", message=Message(type="email", subject="s", text="t"), recipients=("a@b.c", "d@e.f"))


class Desk:
    """A directory with one channel, its material, a provider that accepts, and what is reported."""

    def __init__(self) -> None:
        self.unread: Exception | None = None
        self.gone = False
        self.sent_with: list[object] = []
        self.reported: list[ChannelKey] = []
        desk = cast("Any", self)
        self.post = ChannelPost(desk, desk, desk, desk)

    def get(self, key: ChannelKey) -> Channel | None:
        return Channel(KEY, SPEC) if key == KEY else None

    async def of(self, *_: object) -> str:
        if self.unread is not None:
            raise self.unread
        return "material"

    async def send(self, _: object, material: object, parcel: Parcel) -> Mapping[str, Answer]:
        self.sent_with.append(material)
        return dict.fromkeys(parcel.recipients, accepted())

    def is_gone(self, _: ChannelKey) -> bool:
        return self.gone

    def sent(self, key: ChannelKey, _: Mapping[str, Answer]) -> None:
        self.reported.append(key)

    async def answer(self, key: ChannelKey = KEY) -> tuple[str, str, bool]:
        """Of every recipient the same: result, reason, and whether the channel is to blame."""
        answers = await self.post.send(key, PARCEL)
        assert set(answers) == set(PARCEL.recipients)
        ((result, reason, blamed),) = {(one.result, one.reason, one.blames_channel) for one in answers.values()}
        return result, reason, blamed


async def test_it_is_sent_with_what_the_references_lead_to_now() -> None:
    desk = Desk()
    assert await desk.answer() == ("Accepted", "Accepted", False)
    assert (desk.sent_with, desk.reported) == (["material"], [KEY])


@pytest.mark.parametrize(
    ("error", "reason", "blamed"),
    [
        (MaterialError("SecretMissing", "there is no Secret smtp"), "SecretMissing", True),
        (ApiError(500, "InternalError", "no"), "SecretUnread", False),
        (aiohttp.ClientError(), "SecretUnread", False),
        (TimeoutError(), "SecretUnread", False),
        (OSError(), "SecretUnread", False),
    ],
)
async def test_secrets_that_cannot_be_read_can_be_put_right(error: Exception, reason: str, blamed: bool) -> None:
    desk = Desk()
    desk.unread = error
    assert await desk.answer() == ("Temporary", reason, blamed)
    assert (desk.sent_with, desk.reported) == ([], [KEY])


async def test_a_channel_that_is_missing_may_come() -> None:
    desk = Desk()
    assert await desk.answer(ChannelKey("team", "other")) == ("Temporary", "ChannelMissing", False)
    assert desk.reported == []


async def test_what_had_no_channel_has_none_later() -> None:
    assert await Desk().answer(ChannelKey("", "")) == ("Permanent", "NoChannel", False)


async def test_nothing_is_sent_to_a_webhook_that_is_gone() -> None:
    desk = Desk()
    desk.gone = True
    assert await desk.answer() == ("Permanent", "Gone", True)
    assert (desk.sent_with, desk.reported) == ([], [])
