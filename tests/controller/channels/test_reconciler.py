"""A channel's status says whether it can send, what was wrong with the last message, and how many there were."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from execution_options.controller.channels.reconciler import LATER, WAITING, ChannelReconciler
from execution_options.notifications.route import Channel, ChannelKey
from execution_options.providers.answer import accepted, permanent
from support.materials import SMTP, Objects, channel, materials, secret

KEY = ChannelKey("team", "mail")


class Written:
    """A channel whose status is written."""

    def __init__(self, objects: Objects) -> None:
        self.item = SimpleNamespace(
            metadata=SimpleNamespace(
                namespace="team", name="mail", uid="u", generation=1, resource_version="1", deletion_timestamp=None
            ),
            status={},
        )
        self.store = SimpleNamespace(get=lambda *_: self.item)
        self.channel: Channel | None = channel(email={name: value for name, value in SMTP.items() if name != "ca"})
        self.objects = objects
        self.clock = 0.0

    def get(self, _: ChannelKey) -> Channel | None:
        return self.channel

    def in_namespace(self, _: str) -> list[Channel]:
        return [] if self.channel is None else [self.channel]

    async def merge(self, _: str, body: Any) -> None:
        self.item.status = {name: value for name, value in body["status"].items() if value is not None}

    def reconciler(self) -> ChannelReconciler:
        either: Any = self
        read = materials(self.objects, lambda: self.clock)
        return ChannelReconciler(either, read, either, "system", 0, lambda: self.clock)

    async def ready(self, reconciler: ChannelReconciler) -> tuple[str, str]:
        self.clock += 10
        await reconciler.reconcile(KEY)
        condition = next(c for c in self.item.status["conditions"] if c["type"] == "Ready")
        return condition["reason"], self.item.status.get("problem", {}).get("reason", "")


async def test_what_was_wrong_is_over_when_the_channel_or_its_secret_changes_and_not_when_the_controller_does() -> None:
    objects = Objects(smtp=secret(user="u", password="p"), authority={"ca.crt": "PEM"})
    written = Written(objects)
    one = written.reconciler()
    rejected = permanent("Unauthorized", "535 no", blames_channel=True)

    assert await written.ready(one) == ("Usable", "")
    one.sent(KEY, {"r": rejected})
    assert await written.ready(one) == ("Unauthorized", "Unauthorized")
    other = written.reconciler()
    assert await written.ready(other) == ("Unauthorized", "Unauthorized"), "a restart is no repair"
    objects.found["smtp"] = secret(user="u", password="rotated")
    assert await written.ready(other) == ("Usable", "")

    other.sent(KEY, {"r": rejected})
    assert (await written.ready(other))[0] == "Unauthorized"
    written.item.metadata.generation = 2
    assert await written.ready(other) == ("Usable", "")
    other.sent(KEY, {"r": rejected})
    assert (await written.ready(other))[0] == "Unauthorized"
    other.sent(KEY, {"r": accepted()})
    assert await written.ready(other) == ("Usable", "")


async def test_a_change_of_one_channel_reads_no_secret_of_another_and_neither_does_a_message() -> None:
    objects = Objects(smtp=secret(user="u", password="p"))
    written = Written(objects)
    one, other = written.reconciler(), ChannelKey("team", "other")
    one.active = True
    await one.reconcile(KEY)
    assert objects.asked == ["/api/v1/namespaces/team/secrets/smtp"]
    objects.found["smtp"] = secret(user="u")

    written.clock += 2
    one.changed(other)
    one.sent(KEY, {"r": accepted()})
    again = await one.reconcile(KEY)
    assert (len(objects.asked), again) == (1, LATER - 2)

    assert written.channel is not None
    written.channel = written.channel._replace()
    one.changed(KEY)
    assert await one.reconcile(KEY) == WAITING
    assert len(objects.asked) == 2
    assert written.item.status["problem"]["reason"] == "SecretKeyMissing"
    written.clock += WAITING
    await one.reconcile(KEY)
    assert len(objects.asked) == 3


async def test_a_message_that_fails_has_the_secret_read_as_soon_as_that_of_a_channel_in_trouble() -> None:
    objects = Objects(smtp=secret(user="u", password="p"))
    written = Written(objects)
    one = written.reconciler()
    await one.reconcile(KEY)
    written.clock += WAITING - 1
    one.sent(KEY, {"r": permanent("Unauthorized", "535 no", blames_channel=True)})
    assert await one.reconcile(KEY) == 1
    written.clock += 1
    await one.reconcile(KEY)
    assert len(objects.asked) == 2


async def test_a_channel_that_cannot_be_understood_any_more_is_looked_at_now_and_then() -> None:
    written = Written(Objects(smtp=secret(user="u", password="p")))
    one = written.reconciler()
    await one.reconcile(KEY)
    written.clock += LATER
    written.channel = None
    assert await one.reconcile(KEY) == WAITING
