"""What is stored: read however garbled, and moved on when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution_options.certificates.authority import Policy, create_authority, issue, names_of, serving_names
from execution_options.certificates.material import (
    KEYS,
    Material,
    Step,
    adopt,
    advance,
    authorities,
    due,
    encode,
    next_due,
    parse,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
POLICY = Policy()
NAMES = serving_names("webhook", "tools")


def step_of(material: Material, days: float, *, propagated: bool = False) -> Step:
    trusted = material.trusted if propagated else frozenset()
    return due(material, NOW + timedelta(days=days), POLICY, NAMES, trusted)


def after(material: Material, step: Step, days: float = 0) -> Material:
    return advance(material, step, NOW + timedelta(days=days), POLICY, NAMES)


FRESH = after(Material(), Step.CREATE)
ANNOUNCED = after(FRESH, Step.ANNOUNCE, 245)
PROMOTED = after(ANNOUNCED, Step.PROMOTE, 245)


def test_what_is_due_over_a_life() -> None:
    assert step_of(Material(), 0) is Step.CREATE
    assert step_of(FRESH, 59.9) is Step.NOTHING
    assert step_of(FRESH, 60.1) is Step.REISSUE
    assert FRESH.authority is not None
    young = after(FRESH, Step.REISSUE, 240)
    assert step_of(young, 244) is Step.NOTHING
    assert step_of(young, 246) is Step.ANNOUNCE
    announced = after(young, Step.ANNOUNCE, 246)
    assert step_of(announced, 246) is Step.NOTHING
    assert step_of(announced, 246, propagated=True) is Step.PROMOTE
    promoted = after(announced, Step.PROMOTE, 246)
    assert promoted.trusted == announced.trusted
    assert promoted.bundle == announced.bundle
    renewed = after(promoted, Step.REISSUE, 360)
    assert step_of(renewed, 365.001) is Step.NOTHING  # within what clocks may be apart
    assert step_of(renewed, 366) is Step.RETIRE
    assert after(renewed, Step.RETIRE, 366).retired == ()


def test_an_authority_that_expired_is_replaced_by_the_one_that_was_announced_if_there_is_one() -> None:
    assert step_of(FRESH, 365) is Step.CREATE
    assert after(FRESH, Step.CREATE, 365).retired == ()
    assert step_of(ANNOUNCED, 365) is Step.PROMOTE
    assert step_of(ANNOUNCED, 365 + 246) is Step.CREATE


def test_a_certificate_that_ends_with_its_authority_is_not_issued_again_and_again() -> None:
    clamped = after(ANNOUNCED, Step.REISSUE, 300)
    assert step_of(clamped, 364.9) is Step.NOTHING


def test_a_missing_or_foreign_serving_certificate_is_issued_anew() -> None:
    foreign = issue(create_authority(NOW, POLICY), NAMES, NOW, POLICY)
    assert step_of(Material(FRESH.authority, None), 0) is Step.REISSUE
    assert step_of(Material(FRESH.authority, foreign), 0) is Step.REISSUE


def test_new_names_are_added_and_versions_with_different_names_agree() -> None:
    others = serving_names("other", "tools")
    assert due(FRESH, NOW, POLICY, others, frozenset()) is Step.REISSUE
    both = advance(FRESH, Step.REISSUE, NOW, POLICY, others)
    assert both.serving is not None
    assert names_of(both.serving.certificate) == NAMES | others
    assert step_of(both, 0) is Step.NOTHING
    assert due(both, NOW, POLICY, others, frozenset()) is Step.NOTHING


def test_authorities_that_are_still_served_are_adopted_until_they_expire() -> None:
    lost = create_authority(NOW, POLICY).certificate
    adopted = adopt(FRESH, [lost], NOW)
    assert adopted.trusted == {lost, *FRESH.trusted}
    assert adopt(adopted, [lost], NOW) is adopted
    assert adopt(FRESH, [lost], NOW + timedelta(days=366)) is FRESH


@pytest.mark.parametrize("material", [Material(), FRESH, ANNOUNCED, PROMOTED])
def test_what_is_encoded_is_read_again(material: Material) -> None:
    data = encode(material)
    assert parse(data) == (material, [])
    assert authorities(material.bundle) == sorted(material.trusted, key=lambda ca: ca.not_valid_before_utc)
    assert set(data) <= KEYS


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(KEYS)),
        st.binary(max_size=60)
        | st.sampled_from(sorted(encode(ANNOUNCED).values()) + sorted(encode(PROMOTED).values()))
        | st.builds(
            lambda text, at: text[:at] + b"#" + text[at:],
            st.sampled_from(sorted(encode(ANNOUNCED).values())),
            st.integers(0, 200),
        ),
    )
)
def test_anything_garbled_is_read_as_far_as_it_is_usable_and_led_back_to_order(data: dict[str, bytes]) -> None:
    material, problems = parse(data)
    for problem in problems:
        assert len(problem) < 60
        assert "BEGIN" not in problem
    now = NOW + timedelta(days=246)
    steps = 0
    while (step := due(material, now, POLICY, NAMES, material.trusted)) is not Step.NOTHING:
        material = advance(material, step, now, POLICY, NAMES)
        steps += 1
        assert steps < 6
    assert material.serving is not None
    assert parse(encode(material)) == (material, [])


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 500), min_size=1, max_size=12), st.booleans())
def test_the_next_look_comes_no_later_than_anything_is_due(pauses: list[float], propagated: bool) -> None:
    """Wherever nothing is due, nothing becomes due before ``next_due``."""
    material, day = FRESH, 0.0
    for pause in pauses:
        at = next_due(material, POLICY)
        assert at is not None
        just_before = (at - NOW) / timedelta(days=1) - 0.0001
        if step_of(material, day) is Step.NOTHING and just_before > day:
            assert step_of(material, just_before) is Step.NOTHING
        day += pause
        while (step := step_of(material, day, propagated=propagated)) is not Step.NOTHING:
            material = after(material, step, day)
