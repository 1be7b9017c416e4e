"""Flyte's notifications: ``flytekit.core.notification``, plus ``Webhook`` and ``Service``."""

from __future__ import annotations

# Needed at run time by whoever resolves the annotations.
from collections.abc import Iterable  # noqa: TC003
from dataclasses import dataclass
from typing import ClassVar

from execution_options.sdk.phases import WorkflowExecutionPhase


@dataclass(init=False)
class _Recipients:
    recipients_email: list[str]

    def __init__(self, recipients_email: Iterable[str]) -> None:
        # A string is iterable too: list("a@b.c") would be five recipients.
        if isinstance(recipients_email, str):
            raise TypeError(f"recipients_email must be a list of strings, not {recipients_email!r}")
        self.recipients_email = list(recipients_email)


class EmailNotification(_Recipients):
    """The recipients of an e-mail; ``flytekit.models.common.EmailNotification``."""


class SlackNotification(_Recipients):
    """The recipients of a Slack message; ``flytekit.models.common.SlackNotification``."""


class PagerDutyNotification(_Recipients):
    """The services of a PagerDuty incident; ``flytekit.models.common.PagerDutyNotification``."""


@dataclass(frozen=True)
class WebhookNotification:
    """An HTTP request; its URL is the channel's. Beyond flytekit."""


@dataclass(frozen=True)
class Template:
    """The text of a notification instead of the default one. Beyond flytekit.

    Args:
        subject: Subject or title, one line; None keeps the default one.
        body: Body of the message; None keeps the default one.
    """

    subject: str | None = None
    body: str | None = None


class Notification:
    """Who is notified when an execution ends, and how; ``flytekit.core.notification.Notification``.

    Usually built as ``Email``, ``Slack``, ``PagerDuty``, ``Webhook`` or ``Service``. Equality is by content, as in
    flytekit: ``Email(p, r) == Notification(p, email=EmailNotification(r))``.

    Args:
        phases: Terminal phases that are notified, at least one.
        email: Notify by e-mail.
        pager_duty: Notify by PagerDuty.
        slack: Notify in Slack.
        webhook: Beyond flytekit: notify by an HTTP request.
        service: Beyond flytekit: notify by another service, for example ``teams``.
        channel: Beyond flytekit: name of the NotificationChannel to use. None: the one that is
            marked as default for its type.
        template: Beyond flytekit: text of the message. None: the default text.
        on_recovery: Beyond flytekit: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal; the texts are flytekit's.
    """

    VALID_PHASES: ClassVar = frozenset(
        {
            WorkflowExecutionPhase.ABORTED,
            WorkflowExecutionPhase.FAILED,
            WorkflowExecutionPhase.SUCCEEDED,
            WorkflowExecutionPhase.TIMED_OUT,
        }
    )

    def __init__(
        self,
        phases: Iterable[int],
        email: EmailNotification | None = None,
        pager_duty: PagerDutyNotification | None = None,
        slack: SlackNotification | None = None,
        *,
        webhook: WebhookNotification | None = None,
        service: str | None = None,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        phases = list(phases)
        # Raised, not asserted, so that ``python -O`` keeps it: code written for flytekit catches it.
        if not phases:
            raise AssertionError("You must specify at least one phase for a notification.")
        for phase in phases:
            if phase not in self.VALID_PHASES:
                raise AssertionError(f"Invalid phase: {phase}. only terminal states are permitted for notifications")
        self.phases = [WorkflowExecutionPhase(phase) for phase in phases]
        self.email = email
        self.pager_duty = pager_duty
        self.slack = slack
        self.webhook = webhook
        self.service = service
        self.channel = channel
        self.template = template
        self.on_recovery = on_recovery

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if isinstance(other, Notification) else NotImplemented

    def __hash__(self) -> int:
        return hash((tuple(self.phases), self.channel, self.template))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({shown})"


class Email(Notification):
    """Notify people by e-mail; ``flytekit.core.notification.Email``.

    Args:
        phases: Terminal phases that are notified, at least one.
        recipients_email: E-mail addresses, at least one.
        channel: Beyond flytekit: name of the NotificationChannel to use.
        template: Beyond flytekit: text of the message.
        on_recovery: Beyond flytekit: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal.
    """

    def __init__(
        self,
        phases: Iterable[int],
        recipients_email: Iterable[str],
        *,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        recipients = EmailNotification(recipients_email)
        super().__init__(phases, email=recipients, channel=channel, template=template, on_recovery=on_recovery)


class Slack(Notification):
    """Notify in Slack; ``flytekit.core.notification.Slack``.

    Args:
        phases: Terminal phases that are notified, at least one.
        recipients_email: Channels (``#name``), user ids or e-mail addresses of Slack, at least one.
        channel: Beyond flytekit: name of the NotificationChannel to use.
        template: Beyond flytekit: text of the message.
        on_recovery: Beyond flytekit: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal.
    """

    def __init__(
        self,
        phases: Iterable[int],
        recipients_email: Iterable[str],
        *,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        recipients = SlackNotification(recipients_email)
        super().__init__(phases, slack=recipients, channel=channel, template=template, on_recovery=on_recovery)


class PagerDuty(Notification):
    """Notify by PagerDuty; ``flytekit.core.notification.PagerDuty``.

    Args:
        phases: Terminal phases that are notified, at least one.
        recipients_email: E-mail addresses of PagerDuty services, at least one.
        channel: Beyond flytekit: name of the NotificationChannel to use.
        template: Beyond flytekit: text of the message.
        on_recovery: Beyond flytekit: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal.
    """

    def __init__(
        self,
        phases: Iterable[int],
        recipients_email: Iterable[str],
        *,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        recipients = PagerDutyNotification(recipients_email)
        super().__init__(phases, pager_duty=recipients, channel=channel, template=template, on_recovery=on_recovery)


class Webhook(Notification):
    """Notify by an HTTP request. Beyond flytekit.

    Args:
        phases: Terminal phases that are notified, at least one.
        channel: Name of the NotificationChannel that holds the URL. None: the webhook channel that
            is marked as default.
        template: Text of the message.
        on_recovery: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal.
    """

    def __init__(
        self,
        phases: Iterable[int],
        *,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        super().__init__(
            phases, webhook=WebhookNotification(), channel=channel, template=template, on_recovery=on_recovery
        )


class Service(Notification):
    """Notify by a service that gets each message in one place. Beyond flytekit.

    Args:
        phases: Terminal phases that are notified, at least one.
        service: Its name in a NotificationChannel: teams, googleChat, discord, mattermost, rocketChat, opsgenie or
            http.
        channel: Name of the NotificationChannel to use. None: the one of the service that is marked as default.
        template: Text of the message.
        on_recovery: True: also notify of the first success after a failure.

    Raises:
        AssertionError: No phase is given, or one that is not terminal.
    """

    def __init__(
        self,
        phases: Iterable[int],
        service: str,
        *,
        channel: str | None = None,
        template: Template | None = None,
        on_recovery: bool | None = None,
    ) -> None:
        super().__init__(phases, service=service, channel=channel, template=template, on_recovery=on_recovery)
