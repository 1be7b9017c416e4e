"""Names derived from the end of an execution."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.notification import Template
from execution_options.api.syntax import DNS_SUBDOMAIN
from execution_options.notifications.ended import Ended, lineage
from execution_options.notifications.naming import MAX_DEDUP_KEY, dedup_key, delivery_name, message_id, webhook_id
from execution_options.notifications.route import ChannelKey

NAMES = st.from_regex(DNS_SUBDOMAIN, fullmatch=True).filter(lambda name: len(name) <= 253) | st.sampled_from(
    ["a" * 253, f"{'a' * 231}.{'b' * 21}", f"{'a' * 232}.{'b' * 20}", f"{'a' * 231}-{'b' * 21}"]
)
CHANNEL = ChannelKey("team", "mail")
ENDED = Ended(
    engine="job",
    api_version="batch/v1",
    kind="Job",
    namespace="team",
    name="train-1",
    uid="u-1",
    phase="FAILED",
    episode="2026-01-01T00:00:00Z",
)


@given(NAMES)
def test_a_delivery_has_a_name_that_an_object_may_have(name: str) -> None:
    made = delivery_name(structs.replace(ENDED, name=name), CHANNEL)

    assert len(made) <= 253
    assert re.fullmatch(DNS_SUBDOMAIN, made)


def test_the_same_episode_has_the_same_name() -> None:
    assert delivery_name(ENDED, CHANNEL) == delivery_name(structs.replace(ENDED, message="another"), CHANNEL)


def test_another_episode_channel_phase_or_template_has_another_name() -> None:
    names = {
        delivery_name(ENDED, CHANNEL),
        delivery_name(structs.replace(ENDED, uid="u-2"), CHANNEL),
        delivery_name(structs.replace(ENDED, episode="2026-01-02T00:00:00Z"), CHANNEL),
        delivery_name(structs.replace(ENDED, phase="ABORTED"), CHANNEL),
        delivery_name(ENDED, ChannelKey("team", "mail-2")),
        delivery_name(ENDED, ChannelKey("operator", "mail")),
        delivery_name(ENDED, CHANNEL, Template(subject="s")),
        delivery_name(ENDED, CHANNEL, Template(body="s")),
    }
    assert len(names) == 8


@given(st.text(max_size=600))
def test_pagerduty_accepts_every_dedup_key(lineage: str) -> None:
    assert len(dedup_key(lineage)) <= MAX_DEDUP_KEY
    assert len(lineage) <= MAX_DEDUP_KEY or dedup_key(lineage) != dedup_key(lineage + "x")


def test_ids_are_the_same_for_every_attempt_and_differ_by_recipient() -> None:
    sender = "Executions <executions@example.com>"
    assert message_id("team/d", "a@b.c", sender) == message_id("team/d", "a@b.c", sender)
    assert message_id("team/d", "a@b.c", sender) != message_id("team/d", "d@b.c", sender)
    assert message_id("team/d", "a@b.c", sender).endswith(".execution-options@example.com>")
    assert webhook_id("team/d") == webhook_id("team/d") != webhook_id("team/e")


def test_a_lineage_outlives_one_run() -> None:
    assert lineage("job", "n", "nightly-28", launch_plan="CronJob/nightly") == "job/n/CronJob/nightly"
    assert lineage("job", "n", "train-x7", generate_name="train-") == "job/n/train"
    assert lineage("pipeline-run", "n", "r-x7", generate_name="r-", definition="build") == "pipeline-run/n/build"
    assert lineage("job", "n", "once") == "job/n/once"
