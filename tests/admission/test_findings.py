"""Options that have no effect are found when they are applied."""

from __future__ import annotations

from typing import Any

import pytest

from execution_options.admission.findings import first_limit, ineffective
from execution_options.engines.registry import builtin_engines
from support.options import namespaced


def test_an_engine_that_is_not_known_is_named_with_the_nearest_one() -> None:
    found = ineffective(namespaced("o", {"selector": {"engines": ["jobb"]}}), builtin_engines(), {})
    assert found.wholly == ["spec.selector.engines: jobb is no known engine: did you mean job?"]
    assert found.partly == []


def test_a_field_without_effect_on_the_selected_engine_is_named() -> None:
    spec = {"selector": {"engines": ["job"]}, "overwriteCache": True}
    assert ineffective(namespaced("o", spec), builtin_engines(), {}).wholly == ["spec.overwriteCache on job"]


def test_without_a_list_of_engines_an_effect_on_some_is_enough() -> None:
    found = ineffective(namespaced("o", {"selector": {}, "overwriteCache": True}), builtin_engines(), {})
    assert found.wholly == []
    assert found.partly[-1].startswith("spec.overwriteCache has an effect only on argo-workflow")


@pytest.mark.parametrize(
    ("new", "old", "active", "warns"),
    [(2, None, 3, True), (2, None, 0, False), (2, 5, 3, False), (0, None, 3, False), (None, None, 3, False)],
)
def test_active_executions_do_not_get_a_first_limit(new: int | None, old: int | None, active: int, warns: bool) -> None:
    def spec(cap: int | None) -> dict[str, Any]:
        return {} if cap is None else {"maxParallelism": cap}

    stored = {"spec": spec(old), "status": {"executions": {"active": active}}}
    warning = first_limit(namespaced("o", spec(new)), stored)
    assert bool(warning) is warns
    assert not warns or "3 executions are active" in warning
