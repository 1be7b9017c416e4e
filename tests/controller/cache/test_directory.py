"""The directory knows the channels that can be understood, and tells of what others than the operator change."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from execution_options.api.meta import ObjectMeta
from execution_options.controller.cache.directory import Directory
from execution_options.kube.channels import ChannelObject
from execution_options.notifications.route import ChannelKey
from execution_options.options.levels import Level, Source

MAIL: dict[str, Any] = {"email": {"host": "mail.example.com", "from": "a@b.c"}}
KEY = ChannelKey("team", "mail")


class Desk:
    """A directory that is shown channels as a list shows them."""

    def __init__(self) -> None:
        self.reported: list[ChannelKey] = []
        labels = {"team": {"tier": "gold"}}
        self.directory = Directory(cast("Any", None), "system", lambda name: labels.get(name, {}), self.reported.append)

    def show(self, *channels: ChannelObject) -> list[ChannelKey]:
        """List these; what is told of then."""
        self.reported.clear()
        found = {(one.metadata.namespace, one.metadata.name): one for one in channels}
        self.directory.store._replace(found)
        return list(self.reported)


def channel(namespace: str = "team", version: str = "1", spec: Any = MAIL, **changes: Any) -> ChannelObject:
    status = changes.pop("status", {})
    metadata = ObjectMeta(name="mail", namespace=namespace, uid=namespace, resource_version=version, **changes)
    return ChannelObject(metadata, spec, status)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_channels_come_and_go(desk: Desk) -> None:
    assert desk.show(channel()) == [KEY]
    assert desk.directory.get(KEY) is not None
    assert [one.key for one in desk.directory.in_namespace("team")] == [KEY]
    assert desk.show() == [KEY]
    assert desk.directory.get(KEY) is None


@pytest.mark.parametrize(
    ("later", "reported"),
    [
        (channel(version="2", status={"conditions": []}), []),
        (channel(version="2", labels={"a": "b"}), []),
        (channel(version="2", annotations={"execution.dev/test-notification": "1"}), [KEY]),
        (channel(version="2", spec={**MAIL, "default": True}), [KEY]),
        (channel(version="2", deletion_timestamp="2026-01-01T00:00:00Z"), [KEY]),
    ],
    ids=["status", "label", "test", "spec", "deletion"],
)
def test_what_the_operator_itself_writes_is_no_news(
    desk: Desk, later: ChannelObject, reported: list[ChannelKey]
) -> None:
    desk.show(channel())
    assert desk.show(later) == reported


def test_one_that_cannot_be_understood_is_not_used_and_hides_no_other(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.show(channel(), channel("other"))
    assert desk.show(channel(version="2", spec={"email": 5}), channel("other")) == [KEY]
    assert desk.directory.get(KEY) is None
    assert desk.directory.get(ChannelKey("other", "mail")) is not None
    assert "NotificationChannel team/mail cannot be understood" in caplog.text


def test_what_a_newer_version_wrote_is_used_as_far_as_it_is_known(desk: Desk) -> None:
    desk.show(channel(spec={**MAIL, "colour": "red"}))
    found = desk.directory.get(KEY)
    assert found is not None
    assert "colour" not in msgspec.to_builtins(found.spec)


def test_a_namespace_can_use_its_own_channels_and_those_that_it_is_offered(desk: Desk) -> None:
    offered = {**MAIL, "allowedNamespaces": {"matchLabels": {"tier": "gold"}}}
    desk.show(channel("team"), channel("system", spec=offered), channel("other"))

    def usable(namespace: str | None, kind: str = "ExecutionOptions") -> list[str]:
        source = Source(Level.NAMESPACE_DEFAULT, kind, "o")
        return [one.key.namespace for one in desk.directory.channels(namespace).in_reach(source)]

    assert usable("team") == ["team", "system"]
    assert usable("other") == ["other"]
    assert usable(None, "ClusterExecutionOptions") == ["system"]
