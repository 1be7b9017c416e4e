"""The policy on channels knows every way in which one can name a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from execution_options.api.names import CHANNEL_KIND
from execution_options.api.schema import object_schema
from execution_options.install.policies import policies

if TYPE_CHECKING:
    from collections.abc import Iterator


def secrets(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all references to secrets; ``[]`` stands for the items of a list."""
    for name, below in schema.get("properties", {}).items():
        if name.endswith(("SecretRef", "SecretRefs", "secretRef")):
            yield (*path, name)
        else:
            yield from secrets(below, (*path, name))
    if "items" in schema:
        yield from secrets(schema["items"], (*path, "[]"))


def test_every_secret_that_a_channel_can_name_is_checked() -> None:
    (policy,) = [
        one
        for one in policies()
        if one["metadata"]["name"] == "execution-options-channels" and one["kind"] == "ValidatingAdmissionPolicy"
    ]
    named = next(one["expression"] for one in policy["spec"]["variables"] if one["name"] == "named")
    found = list(secrets(object_schema(CHANNEL_KIND)["properties"]["spec"]))
    assert len(found) > 20
    for path in found:
        shown = ".?".join(("variables.spec", *path))
        lists = "[]" in path or path[-1].endswith("Refs")
        fitting = shown.partition(".?[]")[0] if lists else f"{shown}.?name"
        assert fitting in named, shown
