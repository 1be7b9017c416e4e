"""The two forms of the same options: attributes with flytekit's names, and the API's ``spec``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from msgspec import UNSET, UnsetType, structs

from execution_options.api.channel import CHANNEL_TYPES
from execution_options.api.model import ExecutionOptionsSpec
from execution_options.api.problem import Problem
from execution_options.sdk.notifications import (
    Email,
    EmailNotification,
    Notification,
    PagerDuty,
    PagerDutyNotification,
    Service,
    Slack,
    SlackNotification,
    Template,
    Webhook,
    WebhookNotification,
)
from execution_options.sdk.phases import WorkflowExecutionPhase
from execution_options.sdk.security import Identity, RawOutputDataConfig, SecurityContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from execution_options.api import notification
    from execution_options.api.security_context import RunAs
    from execution_options.sdk.fields import OptionsFields

T = TypeVar("T")


def untranslatable(options: OptionsFields) -> Iterator[Problem]:
    """What ``to_spec`` cannot read, and what has no place in a ``spec``."""
    foreign = list(_foreign(options))
    yield from foreign
    context = options.security_context
    if foreign or context is None:
        return
    if context.secrets:
        yield Problem("spec.securityContext.secrets", "not supported: a task's own pod template gives it secrets")
    if context.tokens:
        yield Problem("spec.securityContext.tokens", "not supported: nothing requests OAuth2 tokens for pods")
    for attribute in ("oauth2_client", "execution_identity"):
        if getattr(context.run_as, attribute, None) is not None:
            yield Problem(
                f"spec.securityContext.runAs.{attribute}",
                "not supported: pods run as a service account, which iam_role binds to a cloud identity",
            )


def is_foreign(options: OptionsFields) -> bool:
    """Whether ``to_spec`` cannot read a part, because it is of another class."""
    return any(True for _ in _foreign(options))


def _foreign(options: OptionsFields) -> Iterator[Problem]:
    """Parts that are of another class than the one they must be, such as flytekit's own."""
    context, notifications = options.security_context, options.notifications
    yield from _not_a(dict, "spec.envs", options.envs)
    for field in ("labels", "annotations"):
        # The API server would take null for absent; in Python it is a value that went missing.
        entries = getattr(options, field)
        nulls = [key for key, value in entries.items() if value is None] if isinstance(entries, dict) else []
        yield from (Problem(f"spec.{field}[{key}]", "must be a string, not None") for key in nulls)
    yield from _not_a(RawOutputDataConfig, "spec.rawOutputDataConfig", options.raw_output_data_config)
    yield from _not_a(SecurityContext, "spec.securityContext", context)
    if isinstance(context, SecurityContext):
        yield from _not_a(Identity, "spec.securityContext.runAs", context.run_as)
    yield from _not_a(list, "spec.notifications", notifications)
    for index, each in enumerate(notifications if isinstance(notifications, list) else ()):
        path = f"spec.notifications[{index}]"
        yield from _not_a(Notification, path, each, optional=False)
        if isinstance(each, Notification):
            yield from _not_a(EmailNotification, f"{path}.email", each.email)
            yield from _not_a(SlackNotification, f"{path}.slack", each.slack)
            yield from _not_a(PagerDutyNotification, f"{path}.pagerDuty", each.pager_duty)
            yield from _not_a(WebhookNotification, f"{path}.webhook", each.webhook)
            yield from _not_a(Template, f"{path}.template", each.template)


def _not_a(expected: type, path: str, value: object, *, optional: bool = True) -> Iterator[Problem]:
    if isinstance(value, expected) or (optional and value is None):
        return
    found = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
    if expected in (dict, list):
        yield Problem(path, f"must be a {expected.__name__}, not {found}")
    else:
        yield Problem(
            path,
            f"must be execution_options.{expected.__name__}, not {found} (Options.from_flytekit converts flytekit's)",
        )


def to_spec(options: OptionsFields) -> dict[str, Any]:
    """The ``spec`` of the options; types and values are not checked."""
    values = ((name, written, getattr(options, name)) for name, written in _FIELDS.items())
    return _present(
        **{
            written: _TO_SPEC[name](value) if name in _TO_SPEC and value is not None else value
            for name, written, value in values
        }
    )


def _run_as(identity: Identity | None) -> dict[str, Any] | None:
    if identity is None:
        return None
    return _present(
        k8sServiceAccount=identity.k8s_service_account,
        iamRole=identity.iam_role,
        serviceAccountPolicy=identity.service_account_policy,
    )


def _notification(source: Notification) -> dict[str, Any]:
    def recipients(to: EmailNotification | SlackNotification | PagerDutyNotification | None) -> Any:
        return to and {"recipients": to.recipients_email}

    return _present(
        phases=[WorkflowExecutionPhase.enum_to_string(phase) for phase in source.phases],
        email=recipients(source.email),
        slack=recipients(source.slack),
        pagerDuty=recipients(source.pager_duty),
        webhook={} if source.webhook else None,
        **({} if source.service is None else {source.service: {}}),
        channelRef=None if source.channel is None else {"name": source.channel},
        template=source.template and _present(subject=source.template.subject, body=source.template.body),
        onRecovery=source.on_recovery,
    )


def _present(**fields: Any) -> dict[str, Any]:
    """The fields that are set: all but None. 0, False and empty values are set."""
    return {name: value for name, value in fields.items() if value is not None}


def from_spec(spec: ExecutionOptionsSpec, selectors: Mapping[str, Any]) -> dict[str, Any]:
    """Read the arguments of ``Options`` from a ``spec``.

    Args:
        spec: the decoded ``spec``.
        selectors: the same ``spec`` as a mapping; its selectors are kept in the form in which they were given.
    """
    values = {name: _set(getattr(spec, name)) for name in _FIELDS}
    for name, convert in _FROM_SPEC.items():
        if values[name] is not None:
            values[name] = convert(values[name])
    return values | {"selector": selectors.get("selector"), "namespace_selector": selectors.get("namespaceSelector")}


def _identity_from(run_as: RunAs | None) -> Identity | None:
    if run_as is None:
        return None
    return Identity(
        iam_role=_set(run_as.iam_role),
        k8s_service_account=_set(run_as.k8s_service_account),
        service_account_policy=_set(run_as.service_account_policy),
    )


def _notification_from(source: notification.Notification) -> Notification:
    phases = [WorkflowExecutionPhase[phase] for phase in source.phases]
    ref, text = _set(source.channel_ref), _set(source.template)
    channel = None if ref is None else ref.name
    template = None if text is None else Template(subject=_set(text.subject), body=_set(text.body))
    recovery = _set(source.on_recovery)
    # A valid notification has exactly one way.
    if email := _set(source.email):
        return Email(phases, email.recipients, channel=channel, template=template, on_recovery=recovery)
    if slack := _set(source.slack):
        return Slack(phases, slack.recipients, channel=channel, template=template, on_recovery=recovery)
    if pager_duty := _set(source.pager_duty):
        return PagerDuty(phases, pager_duty.recipients, channel=channel, template=template, on_recovery=recovery)
    if source.webhook is not UNSET:
        return Webhook(phases, channel=channel, template=template, on_recovery=recovery)
    service = next(name for field, name in CHANNEL_TYPES.items() if getattr(source, field) is not UNSET)
    return Service(phases, service, channel=channel, template=template, on_recovery=recovery)


def _set(value: T | UnsetType) -> T | None:
    return None if isinstance(value, UnsetType) else value


_FIELDS: Final = {one.name: one.encode_name for one in structs.fields(ExecutionOptionsSpec) if one.name != "selector"}
"""Attribute of ``Options`` and of the model → field of a manifest."""
_TO_SPEC: Final[Mapping[str, Callable[[Any], Any]]] = {
    "security_context": lambda context: _present(runAs=_run_as(context.run_as)),
    "raw_output_data_config": lambda config: {"outputLocationPrefix": config.output_location_prefix},
    "envs": lambda envs: [{"name": name, "value": value} for name, value in envs.items()],
    "notifications": lambda notifications: [_notification(each) for each in notifications],
}
"""Attributes with another form in a manifest; all others have the same."""
_FROM_SPEC: Final[Mapping[str, Callable[[Any], Any]]] = {
    "security_context": lambda context: SecurityContext(_identity_from(_set(context.run_as))),
    "raw_output_data_config": lambda config: config.output_location_prefix,
    "envs": lambda envs: {env.name: env.value for env in envs},
    "notifications": lambda notifications: [_notification_from(each) for each in notifications],
}
"""The other way round."""
