"""Messages say what happened in a form that each service accepts, whatever an execution contains."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.notification import Template
from execution_options.notifications.naming import MAX_DEDUP_KEY, webhook_id
from execution_options.notifications.render import render
from support.notices import CAUSE, CAUSED, FAILED, NASTY, TEMPLATES, due, ends

if TYPE_CHECKING:
    from execution_options.api.channel import ChannelType
    from execution_options.notifications.cause import Cause
    from execution_options.notifications.ended import Ended

KEY = "ml-training/train-resnet-x7k2p-0123"
URL = "https://argo.example.com/workflows/{{ namespace }}/{{ name }}"
TYPES = st.sampled_from(["email", "slack", "pagerDuty", "webhook"])


class Tags(HTMLParser):
    """The structure of a document, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str | None] = []
        self.text = ""
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_mail_has_everything_that_a_reader_needs() -> None:
    message = render(FAILED, due("email"), KEY, URL)

    assert message.subject == "train-resnet-x7k2p failed"
    for text in (message.text, Tags(message.html).text):
        for part in ("ml-training", "argo-workflow", "CronWorkflow nightly-training", "2h 17m 02s", "notify-team"):
            assert part in text
        assert "2026-03-02 04:17:09 UTC" in text
        assert "exit code 137" in text
    assert "FAILED" in Tags(message.html).text
    assert Tags(message.html).links == ["https://argo.example.com/workflows/ml-training/train-resnet-x7k2p"]
    assert message.note == ""


def test_each_phase_has_its_colours() -> None:
    documents = {
        phase: render(structs.replace(FAILED, phase=phase), due("email"), KEY).html
        for phase in ("SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")
    }
    colours = {tuple(re.findall(r"background-color:(#\w+)", document)) for document in documents.values()}
    assert len(colours) == 4
    assert "TIMED OUT" in Tags(documents["TIMED_OUT"]).text
    assert "137" not in Tags(render(structs.replace(FAILED, phase="SUCCEEDED"), due("email"), KEY).html).text


LAID_OUT = {
    *("background-color", "border", "border-collapse", "border-left", "border-top", "color", "display", "font-family"),
    *("font-size", "font-weight", "height", "letter-spacing", "line-height", "margin", "max-width", "padding"),
    *("text-decoration", "white-space"),
}
"""Properties that Word lays out on cells (read: hteumeuleu.com/2020/outlook-rendering-engine), and two it ignores."""
IGNORED = {"border-radius", "max-height", "mso-hide", "overflow", "word-break"}
"""Properties without which the mail is only less pretty."""


@pytest.mark.parametrize("template", [None, Template(body="See {{ url }}")])
def test_a_mail_uses_only_what_outlook_lays_out(template: Template | None) -> None:
    document = render(CAUSED, due("email", template), KEY, URL).html
    styles = [(tag, style) for tag, style in re.findall(r'<(\w+)[^>]* style="([^"]*)"', document)]
    for tag, style in styles:
        used = {part.partition(":")[0] for part in style.strip(";").split(";") if part}
        assert used <= LAID_OUT | IGNORED, (tag, style)
        # Word adds the padding of cells only.
        assert tag in ("td", "body") or "padding" not in used, (tag, style)
    assert "float" not in document
    assert len(re.findall("<table", document)) == len(re.findall("</table>", document))
    assert document.count("<!--[if mso]>") == 2


def test_a_mail_has_colours_for_the_dark() -> None:
    document = render(CAUSED, due("email"), KEY, URL).html
    dark = document.partition("@media (prefers-color-scheme:dark){")[2].partition("</style>")[0]
    assert '<meta name="color-scheme" content="light dark">' in document
    classes = {name for found in re.findall(r' class="([^"]*)"', document) for name in found.split()}
    assert classes == set(re.findall(r"\.(\w+)", dark))
    assert all("!important" in rule for rule in re.findall(r"\{([^{}]+)\}", dark))


def test_slack_gets_blocks() -> None:
    blocks = json.loads(render(FAILED, due("slack"), KEY, URL).payload)

    assert [block["type"] for block in blocks] == ["header", "section", "section", "section", "context"]
    assert blocks[0]["text"] == {"type": "plain_text", "text": ":x: train-resnet-x7k2p failed"}
    assert {"type": "mrkdwn", "text": "*Namespace*\nml-training", "verbatim": True} in blocks[1]["fields"]
    assert blocks[2]["text"]["text"].startswith('```child "train-resnet')
    assert blocks[3]["text"]["text"] == (
        "<https://argo.example.com/workflows/ml-training/train-resnet-x7k2p|Open execution>"
    )


def test_pagerduty_gets_an_event_that_a_later_success_resolves() -> None:
    failed = json.loads(render(FAILED, due("pagerDuty"), KEY, URL).payload)
    later = structs.replace(FAILED, phase="SUCCEEDED", name="train-resnet-aaaaa", uid="u-2")
    succeeded = json.loads(render(later, due("pagerDuty", resolves=True), KEY).payload)

    assert (failed["event_action"], succeeded["event_action"]) == ("trigger", "resolve")
    assert failed["dedup_key"] == succeeded["dedup_key"] == FAILED.lineage
    assert failed["payload"]["severity"] == "error"
    assert failed["payload"]["timestamp"] == "2026-03-02T04:17:09Z"
    assert failed["payload"]["custom_details"]["duration"] == "2h 17m 02s"
    assert failed["links"][0]["href"].endswith("/train-resnet-x7k2p")


def test_a_webhook_gets_a_cloud_event() -> None:
    event = json.loads(render(FAILED, due("webhook"), KEY, URL).payload)

    assert (event["specversion"], event["id"]) == ("1.0", webhook_id(KEY))
    assert event["type"] == "dev.execution.failed"
    assert event["source"] == "/apis/argoproj.io/v1alpha1/namespaces/ml-training/Workflow"
    assert event["time"] == "2026-03-02T04:17:09Z"
    assert event["data"]["options"] == ["notify-team"]
    assert event["data"]["durationSeconds"] == 8222.0


CAUSE_TEXT = "OOMKilled in container main of pod train-resnet-x7k2p-2817 (exit code 137)"
LOGS = "kubectl logs -n ml-training train-resnet-x7k2p-2817 -c main"


@pytest.mark.parametrize("channel_type", ["email", "slack", "pagerDuty", "webhook"])
def test_every_service_is_told_the_cause_and_the_cluster(channel_type: ChannelType) -> None:
    message = render(CAUSED, due(channel_type), KEY, URL)

    assert message.subject == "[prod-eu] train-resnet-x7k2p failed: OOMKilled"
    shown = Tags(message.html).text if message.html else message.payload
    for part in (CAUSE_TEXT, "3 of 40", "batch 512 does not fit", LOGS, "prod-eu"):
        assert part in shown


LOG = "epoch 98\nepoch 99 <b>\nCUDA out of memory"


@pytest.mark.parametrize("channel_type", ["email", "slack", "pagerDuty", "webhook", "teams", "discord"])
def test_every_service_shows_the_log_that_was_read(channel_type: ChannelType) -> None:
    message = render(structs.replace(CAUSED, log=LOG), due(channel_type), KEY, URL)
    shown = Tags(message.html).text if message.html else message.payload
    assert "CUDA out of memory" in shown
    assert "CUDA" not in render(CAUSED, due(channel_type), KEY, URL).payload


def test_slack_gets_the_last_lines_that_fit() -> None:
    log = "\n".join(f"{'<' * 100} {number}" for number in range(100))
    blocks = json.loads(render(structs.replace(CAUSED, log=log), due("slack"), KEY).payload)
    (shown,) = [block["text"]["text"] for block in blocks if "99```" in json.dumps(block)]
    assert len(shown) <= 3000
    assert "<" not in shown


def test_why_a_log_is_missing_is_noted() -> None:
    message = render(structs.replace(CAUSED, log_problem="the operator may not read logs"), due("email"), KEY)
    assert message.note == "the operator may not read logs"
    assert "may not read" not in message.text


def test_the_cause_is_in_the_data_of_a_webhook() -> None:
    event = json.loads(render(CAUSED, due("webhook"), KEY, URL).payload)

    assert event["source"] == "/clusters/prod-eu/apis/argoproj.io/v1alpha1/namespaces/ml-training/Workflow"
    assert event["data"]["cluster"] == "prod-eu"
    assert event["data"]["cause"] == {
        "text": CAUSE_TEXT,
        "pod": "train-resnet-x7k2p-2817",
        "container": "main",
        "reason": "OOMKilled",
        "exitCode": 137,
        "message": "batch 512 does not fit",
        "failed": 3,
        "pods": 40,
        "logs": LOGS,
        "log": "",
    }


def test_incidents_of_two_clusters_are_apart() -> None:
    ends = (CAUSED, structs.replace(CAUSED, cluster="prod-us"), FAILED)
    keys = {json.loads(render(end, due("pagerDuty"), KEY).payload)["dedup_key"] for end in ends}
    assert keys == {f"prod-eu/{FAILED.lineage}", f"prod-us/{FAILED.lineage}", FAILED.lineage}


@pytest.mark.parametrize(
    ("cause", "text", "command"),
    [
        (structs.replace(CAUSE, reason="Error", exit_code=1), "exit code 1 in container main of pod", LOGS),
        (structs.replace(CAUSE, container="", reason="Evicted", exit_code=None, logs=""), "Evicted in pod", ""),
        (structs.replace(CAUSE, reason="CrashLoopBackOff", logs="previous"), "CrashLoopBackOff", f"{LOGS} --previous"),
    ],
)
def test_a_cause_is_worded_by_what_is_known(cause: Cause, text: str, command: str) -> None:
    assert cause.text.startswith(text)
    assert cause.command("ml-training") == command


def test_what_the_engine_has_said_already_is_not_repeated() -> None:
    end = structs.replace(CAUSED, cause=structs.replace(CAUSE, message="OOMKilled"))
    assert "\n\nOOMKilled\n" not in render(end, due("email"), KEY).text
    assert "\n\nbatch 512 does not fit\n" in render(CAUSED, due("email"), KEY).text


def test_a_template_can_use_the_cause() -> None:
    template = Template(body="{{ cluster }}: {{ cause.reason }} {{ cause.exit_code }} {{ cause.logs }}")
    assert render(CAUSED, due("email", template), KEY).text.startswith(f"prod-eu: OOMKilled 137 {LOGS}")
    template = Template(body="{% if cause %}why{% else %}unknown{% endif %} {{ cause.text | default('-') }}")
    assert render(FAILED, due("email", template), KEY).text.startswith("unknown -")


def test_a_template_replaces_only_the_parts_that_it_has() -> None:
    message = render(FAILED, due("email", Template(subject="{{ labels.team }}: {{ phase }}")), KEY, URL)
    assert message.subject == "vision: FAILED"
    assert "exit code 137" in message.text

    body = render(FAILED, due("email", Template(body="See {{ url }}\n\n*{{ error | truncate(20) }}*")), KEY, URL)
    assert body.subject == "train-resnet-x7k2p failed"
    assert body.text.startswith("See https://argo.example.com/workflows/ml-training/train-resnet-x7k2p\n\n*child")
    assert "See https://argo" in Tags(body.html).text


@pytest.mark.parametrize(
    ("template", "note"),
    [
        (Template(subject="{{ nothing }}"), "subject: line 1: there is no variable nothing"),
        (Template(body="{{ phase"), "body: line 1: unexpected end of template"),
        (Template(body="{{ name | join('x') }}"), "body: line 1: join is for"),
        (Template(body="{{ message }}" * 20), "body: its text is longer than 6000 characters"),
    ],
)
def test_the_default_text_replaces_a_template_that_fails_and_a_note_says_so(template: Template, note: str) -> None:
    ended = structs.replace(FAILED, message="m" * 5000)
    for kind in ("email", "slack", "pagerDuty", "webhook"):
        message = render(ended, due(kind, template), KEY)
        plain = render(ended, due(kind), KEY)
        assert note in message.note
        assert "the default is used instead" in message.note
        assert (message.subject, message.text, message.html, message.payload) == (
            plain.subject,
            plain.text,
            plain.html,
            plain.payload,
        )


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("https://ui.example.com/{{ labels.team }}", ["https://ui.example.com/vision"]),
        ("https://ui.example.com/{{ message }}?a=b", ["https://ui.example.com/child%20%22train"]),
        ("https://ui.example.com/{% if engine == 'job' %}a{% else %}b{% endif %}", ["https://ui.example.com/b"]),
        ("https://ui.example.com/{{ nothing }}", []),
        ("https://ui.example.com/ {{ name }}", []),
        ('https://ui.example.com/"{{ name }}', []),
        ("javascript:alert(1)//{{ name }}", []),
        ("", []),
    ],
)
def test_only_a_valid_url_becomes_a_link(pattern: str, expected: list[str]) -> None:
    message = render(FAILED, due("email"), KEY, pattern)
    links = Tags(message.html).links
    assert len(links) == len(expected)
    assert all(str(link).startswith(start) for link, start in zip(links, expected, strict=True))
    assert bool(message.note) == (not expected and bool(pattern))


@given(ends(), TYPES, TEMPLATES, NASTY)
def test_any_content_of_an_execution_can_be_stored_and_sent(
    ended: Ended, kind: Any, template: Template | None, url: str
) -> None:
    message = render(ended, due(kind, template), KEY, url)

    assert 1 <= len(message.subject) <= 256
    assert message.subject.isprintable()
    assert len(message.text) <= 32768
    assert len(message.html) <= 65536
    assert len(message.payload) <= 65536
    assert len(message.note) <= 1024
    for part in (message.subject, message.text, message.html, message.payload, message.note):
        part.encode()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", part)


@given(ends())
def test_no_content_of_an_execution_becomes_markup_of_a_mail(ended: Ended) -> None:
    tags = Tags(render(ended, due("email"), KEY, URL).html).tags
    plain = structs.replace(ended, message="m" if ended.message else "", labels={}, launch_plan="")
    expected = Tags(render(plain, due("email"), KEY, URL).html).tags
    assert {tag for tag, _ in tags} <= {tag for tag, _ in expected} | {"div"}
    assert {names for _, names in tags} <= {names for _, names in expected} | {("style",)}


@given(ends(), st.one_of(st.none(), st.just(Template(subject="{{ error }}", body="{{ error }} {{ labels.team }}"))))
def test_no_content_of_an_execution_becomes_markup_of_slack(ended: Ended, template: Template | None) -> None:
    message = render(ended, due("slack", template), KEY, URL)

    def texts(node: Any) -> list[tuple[str, str]]:
        if isinstance(node, list):
            return [found for item in node for found in texts(item)]
        if isinstance(node, dict):
            own = [(node["type"], node["text"])] if isinstance(node.get("text"), str) else []
            return own + [found for item in node.values() for found in texts(item)]
        return []

    blocks = json.loads(message.payload)
    assert len(blocks) <= 50
    for kind, text in [*texts(blocks), ("mrkdwn", message.text)]:
        if kind == "mrkdwn":
            rest = re.sub(r"<https://argo\.example\.com/[-\w/%.]*\|Open execution>", "", text)
            assert "<" not in rest
            assert len(text) <= 3000
            assert re.sub(r"^```.*```$", "", rest, flags=re.DOTALL).count("```") % 2 == 0
            assert not re.search(r"&(?!amp;|lt;|gt;)", rest)
        else:
            assert len(text) <= 150
    assert all(len(field["text"]) <= 2000 for block in blocks for field in block.get("fields", ()))


@given(st.integers(1, 900), st.integers(0, 5))
def test_a_long_text_is_not_cut_inside_an_escape_sequence(count: int, offset: int) -> None:
    ended = structs.replace(FAILED, message="<" * count)
    body = Template(body="x" * offset + "{{ error }}" * 6)
    message = render(ended, due("slack", body), KEY)
    assert bool(message.note) == (offset + 24 * count > 6000)
    parts = [block["text"]["text"] for block in json.loads(message.payload)[1:-1] if "text" in block]
    if not message.note:
        assert "".join(parts) == "x" * offset + "&lt;" * (6 * count)
    for part in parts:
        assert len(part) <= 3000
        assert not re.search(r"&(?!lt;)", part.replace("&amp;", ""))


@given(ends(), TEMPLATES)
def test_pagerduty_accepts_every_event(ended: Ended, template: Template | None) -> None:
    event = json.loads(render(ended, due("pagerDuty", template), KEY, URL).payload)
    assert 1 <= len(event["dedup_key"]) <= MAX_DEDUP_KEY
    if event["event_action"] == "trigger":
        assert 1 <= len(event["payload"]["summary"]) <= 1024
        assert event["payload"]["source"]
        assert event["payload"]["severity"] in ("critical", "error", "warning", "info")
    else:
        assert ended.phase == "SUCCEEDED"
