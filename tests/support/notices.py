"""Ends of executions and messages that are due, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from msgspec import structs

from execution_options.api.notification import Template
from execution_options.notifications.cause import Cause
from execution_options.notifications.ended import Ended
from execution_options.notifications.route import ChannelKey, Due
from execution_options.options.levels import Level, Source

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from execution_options.api.channel import ChannelType

SOURCE = Source(level=Level.NAMESPACE_DEFAULT, kind="ExecutionOptions", name="notify-team", uid="o-1")
FAILED = Ended(
    engine="argo-workflow",
    api_version="argoproj.io/v1alpha1",
    kind="Workflow",
    namespace="ml-training",
    name="train-resnet-x7k2p",
    uid="5b0e5e0a-1f0e-4a52-8f0e-2f6d6f1f8a11",
    id="9f2c1d7e8a6b4c30",
    phase="FAILED",
    episode="2026-03-02T04:17:09Z",
    message=(
        'child "train-resnet-x7k2p-2817" failed: Error (exit code 137): OOMKilled\n'
        "step train-epoch-3 used 31.8 GiB of 32 GiB when it allocated a batch of 512 images"
    ),
    started_at="2026-03-02T02:00:07Z",
    finished_at="2026-03-02T04:17:09Z",
    lineage="argo-workflow/ml-training/CronWorkflow/nightly-training",
    launch_plan="CronWorkflow/nightly-training",
    labels={"team": "vision", "project": "resnet"},
)

CAUSE = Cause(
    pod="train-resnet-x7k2p-2817",
    container="main",
    reason="OOMKilled",
    exit_code=137,
    message="batch 512 does not fit",
    failed=3,
    pods=40,
    logs="current",
)
CAUSED = structs.replace(FAILED, cause=CAUSE, cluster="prod-eu")
"""The same end, with its cause, in a cluster with a name."""


def due(channel_type: ChannelType, template: Template | None = None, **changes: Any) -> Due:
    """A message that is due by a channel of this type."""
    made = Due(
        channel=ChannelKey("ml-training", "the-channel"),
        type=channel_type,
        recipients=("team@example.com",),
        template=template,
        sources=(SOURCE,),
    )
    return structs.replace(made, **changes)


NASTY = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "<!channel> <!here> <@U01>",
            "<script>alert(1)</script>",
            "</td></table><b>",
            '"><img src=x onerror=alert(1)>',
            "```\n<!everyone>```",
            "line\r\nBcc: everyone@example.com",
            "{{ phase }}{% for o in options %}",
            "\x00\x1b[31m\u202e\u2028",
            "\ud800",
            "&amp;" * 50,
            "<" * 4000,
            "é" * 3000,
        ]
    ),
)
"""Hostile texts, which must stay plain text."""


def ends() -> SearchStrategy[Ended]:
    """Ends with hostile texts wherever people can write."""
    return st.builds(
        lambda phase, message, name, labels, times, cause: structs.replace(
            FAILED,
            phase=phase,
            message=message,
            name=name,
            labels=labels,
            started_at=times[0],
            finished_at=times[1],
            cause=cause,
        ),
        st.sampled_from(["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]),
        NASTY,
        st.from_regex(r"[a-z0-9](?:[-a-z0-9]{0,250}[a-z0-9])?", fullmatch=True),
        st.dictionaries(st.sampled_from(["team", "project", "domain"]), NASTY, max_size=3),
        st.tuples(
            st.sampled_from(["", "2026-03-02T02:00:07Z", "no time"]),
            st.sampled_from(["", "2026-03-02T04:17:09Z", "no time", "2026-03-01T00:00:00Z", "2026-03-02T04:17:09"]),
        ),
        st.none() | st.builds(lambda text: structs.replace(CAUSE, reason=text, message=text), NASTY),
    )


TEMPLATES = st.one_of(
    st.none(),
    st.builds(Template, subject=NASTY, body=NASTY),
    st.just(Template(subject="{{ name }}: {{ phase }}", body="{{ error }}\n{{ labels.team }} {{ url }}")),
    st.just(Template(body="{% for o in options %}{{ o }} {% endfor %}{{ message * 3 }}")),
    st.just(Template(subject="{{ nothing }}")),
)
