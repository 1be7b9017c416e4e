"""The examples and numbers in docs/notifications.md are right."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml
from msgspec import UNSET, convert

from execution_options.api.channel import CHANNEL_TYPES, ChannelType, NotificationChannelSpec
from execution_options.api.kinds import KINDS
from execution_options.api.notification import Template
from execution_options.api.validation import manifest_problems, typed
from execution_options.notifications.checks import template_problems
from execution_options.notifications.content import MAX_BODY, MAX_ERROR
from execution_options.notifications.render import render
from execution_options.notifications.template import FILTERS
from execution_options.notifications.variables import PAGE_FIELDS, PAGE_VARIABLES
from execution_options.providers.http import MAX_ANSWER
from support.notices import FAILED, due

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()
MANIFESTS = [
    document
    for block in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for document in yaml.safe_load_all(block)
]

CHATS: tuple[ChannelType, ...] = ("teams", "discord")


def test_every_manifest_is_valid() -> None:
    assert len(MANIFESTS) == 14
    for manifest in MANIFESTS:
        assert manifest_problems(manifest, KINDS) == []
        assert template_problems(manifest["kind"], manifest["spec"]) == []


def test_the_template_that_it_shows_works() -> None:
    (spec,) = [one["spec"] for one in MANIFESTS if one["metadata"]["name"] == "templates"]
    template = convert(spec["notifications"][0]["template"], Template)
    message = render(FAILED, due("slack", template), "team/key")
    assert message.note == ""
    assert message.subject == "vision: train-resnet-x7k2p FAILED"
    assert "*nightly-training* ran for 2h 17m 02s." in message.payload


def test_it_names_every_variable_and_filter() -> None:
    named = set(re.findall(r"`([\w.]+)`", PAGE))
    assert {name for name in PAGE_VARIABLES if name not in named and f"{name}.name" not in named} == set()
    for name, members in PAGE_FIELDS.items():
        assert {member for member in members if not {member, f"{name}.{member}"} & named} == set()
    assert set(FILTERS) <= named


def test_the_requests_that_it_shows_are_made() -> None:
    link = str(MANIFESTS[0]["spec"]["executionURL"])
    shown = [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]
    teams, discord = (json.loads(render(FAILED, due(name), "team/key", link).payload)["body"] for name in CHATS)
    card = teams["attachments"][0]["content"]
    card["body"] = [one for one in card["body"] if one["type"] != "ColumnSet" or "Execution" in str(one)]
    discord["embeds"][0]["fields"] = discord["embeds"][0]["fields"][:1]
    assert shown == [teams, discord]


def test_the_service_that_it_describes_gets_its_message() -> None:
    (spec,) = [typed(one["spec"], one["kind"], NotificationChannelSpec) for one in MANIFESTS if "http" in one["spec"]]
    assert spec.http is not UNSET
    body = json.loads(render(FAILED, due("http"), "team/key", http=spec.http).payload)["body"]
    assert body["title"] == "train-resnet-x7k2p failed"
    assert body["tags"] == ["failed", "argo-workflow"]
    assert "actions" not in body


def test_it_has_a_row_for_each_service() -> None:
    table = PAGE.partition("## Services")[2].partition("**email**")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(CHANNEL_TYPES.values())


def test_its_numbers_are_right() -> None:
    assert (MAX_BODY, MAX_ERROR, MAX_ANSWER) == (6000, 2000, 16 * 1024)
    for number in ("6,000 characters", "2,000 characters", "16 KiB"):
        assert number in PAGE


def test_the_link_of_its_first_channel_works() -> None:
    spec = typed(MANIFESTS[0]["spec"], "NotificationChannel", NotificationChannelSpec)
    message = render(FAILED, due("email"), "team/key", str(spec.execution_url))
    assert "https://argo.example.com/workflows/ml-training/train-resnet-x7k2p" in message.text
