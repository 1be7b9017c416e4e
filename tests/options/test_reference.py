"""The annotation execution.dev/options: its valid values, and the errors for all others."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from execution_options.api.names import CLUSTER_OPTIONS_KIND, OPTIONS_ANNOTATION, OPTIONS_KIND
from execution_options.options.reference import MAX_TARGETS, InvalidReferenceError, Reference, Target, parse, parse_flag

A, B = Target(OPTIONS_KIND, "a"), Target(OPTIONS_KIND, "b")
CLUSTER_A = Target(CLUSTER_OPTIONS_KIND, "a")


def test_no_annotation_is_no_reference() -> None:
    assert parse(None) is None


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        pytest.param("a", (A,), id="one name"),
        pytest.param("a,b", (A, B), id="several, in the order in which they are written"),
        pytest.param(" a ,\n\tb ", (A, B), id="whitespace around names means nothing"),
        pytest.param("cluster/a", (CLUSTER_A,), id="cluster options"),
        pytest.param("cluster/a,a", (CLUSTER_A, A), id="one name of both kinds is two targets"),
        pytest.param("a,b,a", (B, A), id="a repeated name counts where it stands last"),
        pytest.param("a,a", (A,), id="a repeated name counts once"),
        pytest.param("v1.2-rc.0", (Target(OPTIONS_KIND, "v1.2-rc.0"),), id="a name may have dots"),
        pytest.param("cluster", (Target(OPTIONS_KIND, "cluster"),), id="cluster is a name like any other"),
        pytest.param("cluster/none", (Target(CLUSTER_OPTIONS_KIND, "none"),), id="cluster options may be called none"),
        pytest.param("none-of-it", (Target(OPTIONS_KIND, "none-of-it"),), id="a name may begin with none"),
        pytest.param("a" * 253, (Target(OPTIONS_KIND, "a" * 253),), id="the longest name"),
    ],
)
def test_a_list_of_names_is_a_list_of_targets(text: str, targets: tuple[Target, ...]) -> None:
    assert parse(text) == Reference(targets=targets)


@pytest.mark.parametrize("text", ["none", " none\n"])
def test_none_alone_opts_out(text: str) -> None:
    assert parse(text) == Reference(opt_out=True)


@pytest.mark.parametrize("text", ["none,a", "a,none", "none,none", "a, none ,b"])
def test_none_beside_anything_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="must stand alone"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "''"),
        (" ", "''"),
        ("a,", "''"),
        ("a,,b", "''"),
        ("a b", "'a b'"),
        ("a;b", "'a;b'"),
        ("Nightly", "'Nightly'"),
        ("NONE", "'NONE'"),
        ("-a", "'-a'"),
        ("a-", "'a-'"),
        ("a..b", "'a..b'"),
        ("cluster/", "'cluster/'"),
        ("cluster/ a", "'cluster/ a'"),
        ("cluster/cluster/a", "'cluster/cluster/a'"),
        ("Cluster/a", "'Cluster/a'"),
        ("team-b/a", "'team-b/a'"),
        ("ä", "'ä'"),
        ("a\x00", r"'a\\x00'"),
        ("a" * 254, "'a"),
    ],
)
def test_the_error_for_an_invalid_name_shows_it_and_says_what_is_right(text: str, shown: str) -> None:
    with pytest.raises(InvalidReferenceError, match=rf"{OPTIONS_ANNOTATION}: {shown}.* write the name of") as refusal:
        parse(text)
    assert "cluster/<name>" in str(refusal.value)
    assert "'none'" in str(refusal.value)


def test_a_refusal_is_short_however_long_the_text_is() -> None:
    with pytest.raises(InvalidReferenceError) as refusal:
        parse("x" * 200_000)
    assert len(str(refusal.value)) < 1000


def test_the_number_of_targets_is_bounded() -> None:
    most = [f"o{i}" for i in range(MAX_TARGETS)]
    assert parse(",".join(most)) is not None
    with pytest.raises(InvalidReferenceError, match=f"names {MAX_TARGETS + 1} options, at most {MAX_TARGETS}"):
        parse(",".join([*most, "one-more"]))


@given(st.text() | st.text(alphabet="aA0-./, \tnoecluster\n"))
@example("a" * 100 + "-" * 100 + "!")
def test_any_text_is_a_reference_or_refused_with_a_message(text: str) -> None:
    try:
        reference = parse(text)
    except InvalidReferenceError as refusal:
        assert OPTIONS_ANNOTATION in str(refusal)  # noqa: PT017  any other exception fails the test
    else:
        assert reference is not None
        assert reference.opt_out != bool(reference.targets)


@given(st.lists(st.sampled_from((A, B, CLUSTER_A)), min_size=1, max_size=5, unique=True))
def test_a_target_prints_as_users_write_it(targets: list[Target]) -> None:
    assert parse(", ".join(map(str, targets))) == Reference(targets=tuple(targets))


@pytest.mark.parametrize(("text", "flag"), [(None, None), ("true", True), ("false", False)])
def test_a_flag_is_true_false_or_absent(text: str | None, flag: bool | None) -> None:
    assert parse_flag("example.com/flag", text) is flag


@pytest.mark.parametrize("text", ["", "True", "yes", "1", " true"])
def test_the_error_for_any_other_flag_says_what_to_write(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f'^example.com/flag is {text!r}, write "true" or "false"$'):
        parse_flag("example.com/flag", text)
