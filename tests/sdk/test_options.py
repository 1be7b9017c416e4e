"""The class Options itself."""

from __future__ import annotations

import dataclasses
import typing

import pytest

from execution_options import Email, Options, RawOutputDataConfig, WorkflowExecutionPhase


def test_nothing_is_said_by_default() -> None:
    assert set(vars(Options()).values()) == {None}


def test_a_prefix_may_be_a_plain_string() -> None:
    options = Options(raw_output_data_config="s3://bucket/prefix")
    assert options.raw_output_data_config == RawOutputDataConfig("s3://bucket/prefix")
    assert options == Options(raw_output_data_config=RawOutputDataConfig("s3://bucket/prefix"))


@pytest.mark.parametrize("nothing", [None, ""])
def test_default_from_leaves_out_what_is_empty(nothing: str | None) -> None:
    assert Options.default_from(nothing, nothing) == Options()


def test_every_way_to_options_gives_the_class_it_was_called_on() -> None:
    class Ours(Options):
        pass

    assert type(Ours.default_from("trainer")) is Ours
    assert type(Ours.from_flytekit(Options(max_parallelism=1))) is Ours
    assert type(Ours.from_manifest(Ours(max_parallelism=1).to_manifest(name="o"))) is Ours


def test_zero_and_false_differ_from_not_said() -> None:
    assert Options(max_parallelism=0) != Options()
    assert Options(overwrite_cache=False) != Options()
    assert Options(labels={}) != Options()


def test_options_keep_collections_of_their_own() -> None:
    labels, reported = {"a": "b"}, [Email([WorkflowExecutionPhase.FAILED], ["a@example.com"])]
    options = Options(labels=labels, notifications=reported)
    labels.clear()
    reported.clear()
    assert options.labels == {"a": "b"}
    assert len(options.notifications or ()) == 1


def test_where_options_apply_is_not_what_they_are() -> None:
    assert Options(max_parallelism=1, selector={}) == Options(max_parallelism=1)


def test_options_are_an_ordinary_dataclass() -> None:
    options = dataclasses.replace(Options(max_parallelism=1), overwrite_cache=True)
    assert options == Options(max_parallelism=1, overwrite_cache=True)
    assert set(typing.get_type_hints(Options)) == {field.name for field in dataclasses.fields(Options)}
