"""A test that an annotation asks for is recorded once for each new text."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from execution_options.api.channel import NotificationChannelSpec
from execution_options.api.keys import OptionsKey
from execution_options.api.meta import ObjectMeta
from execution_options.api.names import CHANNEL_KIND, CLUSTER_OPTIONS_KIND, TEST_ANNOTATION
from execution_options.api.resources import from_api
from execution_options.controller.outbox.trials import Trials
from execution_options.controller.runtime import Settings
from execution_options.notifications.route import Channel, ChannelKey, Channels

if TYPE_CHECKING:
    from execution_options.outbox.compose import Composed

MAIL = {"default": True, "email": {"host": "mail.example.com", "from": "jobs@example.com"}}
KEY = OptionsKey(CHANNEL_KIND, "team", "mail")
CLUSTER = OptionsKey(CLUSTER_OPTIONS_KIND, "", "all")


class Desk:
    """Channels and options that ask for tests, and what is recorded of them."""

    def __init__(self) -> None:
        self.text = ""
        self.uid = "u1"
        self.refuse: Exception | None = None
        self.recorded: list[tuple[str, Composed]] = []
        options = {
            "apiVersion": "execution.dev/v1beta1",
            "kind": CLUSTER_OPTIONS_KIND,
            "metadata": {"name": "all", "uid": "c1"},
            "spec": {"notifications": [{"phases": ["FAILED"], "email": {"recipients": ["a@b.c"]}}]},
        }
        self.known = SimpleNamespace(uid="c1", test="", options=from_api(options))
        directory = SimpleNamespace(store=SimpleNamespace(get=self.item), get=self.channel, channels=self.channels)
        index = SimpleNamespace(get=lambda key: self.known if key == CLUSTER else None)
        self.trials = Trials(
            cast("Any", index), cast("Any", directory), cast("Any", self), Settings(namespace="system")
        )

    def item(self, *_: str) -> Any:
        if not self.uid:
            return None
        return SimpleNamespace(metadata=ObjectMeta(uid=self.uid, annotations={TEST_ANNOTATION: self.text}))

    def channel(self, key: ChannelKey) -> Channel:
        return Channel(key, msgspec.convert(MAIL, NotificationChannelSpec))

    def channels(self, namespace: str) -> Channels:
        return Channels([self.channel(ChannelKey("system", "mail"))], namespace, {}, "system")

    async def record(self, namespace: str, composed: Composed) -> None:
        if self.refuse is not None:
            raise self.refuse
        self.recorded.append((namespace, composed))

    async def look(self, key: OptionsKey = KEY) -> int:
        """See whether a test is asked for, and carry it out; how many deliveries that made."""
        before = len(self.recorded)
        self.trials.check(key)
        if len(self.trials.queue):
            taken = await self.trials.queue.take()
            try:
                await self.trials.reconcile(taken)
            finally:
                self.trials.queue.done(taken)
        return len(self.recorded) - before


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_each_new_text_asks_once(desk: Desk) -> None:
    assert await desk.look() == 0
    desk.text = "1 a@b.c"
    assert [await desk.look(), await desk.look()] == [1, 0]
    desk.text = "2 a@b.c"
    assert await desk.look() == 1
    assert [one.spec.recipients for _, one in desk.recorded] == [("a@b.c",)] * 2
    assert len({one.name for _, one in desk.recorded}) == 2


async def test_another_object_of_the_name_asks_anew(desk: Desk) -> None:
    desk.text = "1 a@b.c"
    assert await desk.look() == 1
    desk.uid = "u2"
    assert await desk.look() == 1


async def test_a_test_that_nobody_can_get_is_recorded_with_what_to_do(desk: Desk) -> None:
    desk.text = "1"
    await desk.look()
    ((_, one),) = desk.recorded
    assert one.spec.unsent is not None
    assert one.spec.unsent.reason == "NoRecipient"


async def test_what_could_not_be_recorded_is_still_asked_for(desk: Desk) -> None:
    desk.text, desk.refuse = "1 a@b.c", TimeoutError()
    with pytest.raises(TimeoutError):
        await desk.look()
    desk.refuse = None
    assert await desk.look() == 1


async def test_tests_of_cluster_options_are_recorded_with_the_operator(desk: Desk) -> None:
    assert await desk.look(CLUSTER) == 0
    desk.known.test = "1"
    assert await desk.look(CLUSTER) > 0
    assert {namespace for namespace, _ in desk.recorded} == {"system"}


async def test_a_request_is_still_there_until_it_is_taken_back(desk: Desk) -> None:
    desk.text = "1 a@b.c"
    assert desk.trials.is_requested(KEY, "1 a@b.c")
    assert not desk.trials.is_requested(KEY, "0 a@b.c")
    desk.uid = ""
    assert not desk.trials.is_requested(KEY, "1 a@b.c")
    assert await desk.look() == 0
