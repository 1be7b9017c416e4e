"""A refused reference says which options there are, or why those that it names cannot be used."""

from __future__ import annotations

from execution_options.admission.refusal import MAX_LISTED, missing_options
from execution_options.options.selection import select
from support.options import cluster, execution, namespaced


def test_a_reference_to_nothing_names_what_there_is() -> None:
    known = [namespaced("nightly"), cluster("gpu")]
    wanted = execution("weekly", started_by="cron")
    message = missing_options(select(wanted, known), wanted, known)
    assert message == (
        "execution.dev/options (perhaps on CronJob cron) refers to ExecutionOptions 'weekly', which does not exist; "
        "namespace team-a has nightly, the cluster has cluster/gpu"
    )


def test_a_long_list_is_cut() -> None:
    known = [namespaced(f"o{number:02}") for number in range(MAX_LISTED + 2)]
    wanted = execution("weekly")
    message = missing_options(select(wanted, known), wanted, known)
    assert "o00, o01" in message
    assert message.endswith("o09 and 2 more, the cluster has none")
