"""What metadata alone can show."""

from __future__ import annotations

import pytest

from execution_options.api.meta import ObjectMeta


@pytest.mark.parametrize(
    ("timestamp", "grace", "asked"),
    [
        (None, None, ""),
        ("2026-11-23T12:00:30Z", 30, "2026-11-23T12:00:00Z"),
        ("2026-11-23T12:00:05Z", 5, "2026-11-23T12:00:00Z"),
        ("2026-11-23T12:00:00Z", 0, "2026-11-23T12:00:00Z"),
        ("2026-11-23T12:00:00Z", None, "2026-11-23T12:00:00Z"),
        ("garbage", 30, "garbage"),
    ],
)
def test_a_deletion_has_one_time_however_its_grace_period_is_cut_short(
    timestamp: str | None, grace: int | None, asked: str
) -> None:
    metadata = ObjectMeta(deletion_timestamp=timestamp, deletion_grace_period_seconds=grace)
    assert metadata.deleted_at == asked
