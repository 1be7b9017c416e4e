"""What is said of executions in Events."""

from __future__ import annotations

from msgspec import structs

from execution_options.admission import edit
from execution_options.options.live import Left
from execution_options.status.executionevents import applied_note, left_note
from support.jobs import job, meta, options


def test_what_is_said_names_keys_and_values() -> None:
    document = job({"a": "mine"}, options({"selector": {}, "labels": {"a": "ours"}}))
    message = applied_note(edit.state(meta(document)))
    assert message is not None
    assert "stays 'mine'" in message.note
    assert applied_note(edit.state(meta(job({}, options({"selector": {}, "labels": {"a": "1"}}))))) is None
    plan = edit.execution_plan(meta(job({}, options({"selector": {}, "labels": {"a": "1"}}))), lambda *_: None)
    assert not plan.left
    document["metadata"]["labels"].pop("a")
    enforced = structs.replace(options({"selector": {}, "labels": {}}, 2))
    left = edit.execution_plan(meta(document), lambda *_: enforced).left
    assert left == ()
    assert "absent" in left_note((Left("a", None, "1"),)).note
