"""The rules on recoveries and groups of notifications; see ``api.rules``."""

from __future__ import annotations

from execution_options.api.rule import holds, text

RECOVERY_OF_SOMETHING = holds(
    "recovery-of-something",
    "!has(self.onRecovery) || !self.onRecovery || self.phases.exists(phase, phase != 'SUCCEEDED')",
    lambda value: value.get("onRecovery") is not True or any(phase != "SUCCEEDED" for phase in value["phases"]),
    "onRecovery needs a phase to recover from: FAILED, ABORTED or TIMED_OUT among the phases",
    field="onRecovery",
)
SOME_KEY = holds(
    "some-key",
    "self.size() > 0",
    lambda value: len(value) > 0,
    "a group needs something that its members have in common: lineage, options or namespace",
)
DURATION = text(
    "group-duration",
    "[1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m|(?:[1-9]|1[0-9]|2[0-4])h",
    "is no duration: write seconds, minutes or hours, at most 24h, for example 30s, 5m or 1h",
)
NO_GROUP_OF_INCIDENTS = holds(
    "no-group-of-incidents",
    "!has(self.group) || !(has(self.pagerDuty) || has(self.opsgenie))",
    lambda value: "group" not in value or not {"pagerDuty", "opsgenie"} & set(value),
    "group is for messages: PagerDuty and Opsgenie have one incident for each lineage anyway",
    field="group",
)
