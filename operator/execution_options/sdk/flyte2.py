"""Reads the arguments of flyte 2's ``with_runcontext``, and its notifications by their attributes, without flyte."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from execution_options.sdk.notifications import Email, Notification, Service, Slack, Template, Webhook
from execution_options.sdk.phases import WorkflowExecutionPhase
from execution_options.sdk.security import Identity, SecurityContext

ELSEWHERE: Final = {
    "name": "pass it to launch(…)",
    "project": "a namespace of Kubernetes stands for it: launch(…, namespace=…)",
    "domain": "a namespace of Kubernetes stands for it: launch(…, namespace=…)",
    "dry_run": "`execution-options launch --dry-run` shows what would be launched",
    "interruptible": "write tolerations or a node selector into the manifest",
    "queue": "write the engine's own into the manifest, such as the label kueue.x-k8s.io/queue-name",
    "disable_run_cache": "overwrite_cache runs again what a cache could answer",
    "custom_context": "pass it as variables: env_vars",
}
"""Arguments of ``with_runcontext`` that are no options, and what to do instead."""

_VARIABLES: Final = {
    ".Run.Name": "name",
    ".Run.Project": "project",
    ".Run.Domain": "domain",
    ".Phase": "phase",
    ".Error": "error",
}
_DEFAULTS: Final = {
    "subject": "Run {{.Run.Name}} {{.Phase}}",
    "body": (
        "Run: {{.Run.Name}}\nProject/Domain: {{.Run.Project}}/{{.Run.Domain}}\nPhase: {{.Phase}}\nError: {{.Error}}\n"
    ),
    "title": "Run {{.Run.Name}} {{.Phase}}",
    "method": "POST",
    "copy_style": "loaded_modules",
    "log_format": "console",
    "cache_lookup_scope": "global",
}
"""The defaults of flyte 2.12.1, in place of which this project's own texts are used."""


def read(values: Mapping[str, Any], channels: Mapping[str, str], others: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``Options``; see ``Options.from_flyte2``.

    Args:
        values: Arguments that are options, by flyte's names.
        channels: NotificationChannels by URL.
        others: Further arguments.

    Raises:
        TypeError: A notification is none of flyte's.
        ValueError: A value would be lost.
    """
    lost = [
        f"{name}: {ELSEWHERE.get(name, 'this is about how flyte runs code, not an option of the execution')}"
        for name, value in others.items()
        if value is not None and value is not False and value != _DEFAULTS.get(name)
    ]
    limit = values["max_action_concurrency"]
    if limit == 1:
        lost.append(
            "max_action_concurrency: flyte has no limit of 1, where a parent would wait for itself; "
            "Options(max_parallelism=1) runs one pod at a time"
        )
    given = values["notifications"]
    listed = given if isinstance(given, Iterable) else () if given is None else (given,)
    made = [_notification(f"notifications[{index}]", one, channels, lost) for index, one in enumerate(listed)]
    if lost:
        raise ValueError("no options here are like these, and they would be lost: " + "; ".join(lost))
    account = values["service_account"]
    return {
        "labels": values["labels"],
        "annotations": values["annotations"],
        "envs": values["env_vars"],
        "raw_output_data_config": values["raw_data_path"] or None,
        "security_context": SecurityContext(Identity(k8s_service_account=account)) if account else None,
        "max_parallelism": limit or None,
        "overwrite_cache": values["overwrite_cache"] or None,
        "notifications": [one for one in made if one is not None] if given is not None else None,
    }


def _notification(path: str, source: Any, channels: Mapping[str, str], lost: list[str]) -> Notification | None:
    """One of flyte's notifications; None where it cannot be carried over, which `lost` then says."""
    module, kind = type(source).__module__, type(source).__name__
    if not module.startswith("flyte.notify") or not hasattr(source, "on_phase"):
        raise TypeError(f"{path} is not one of flyte.notify but {module}.{kind}")
    phases = _phases(source.on_phase)
    dropped = _DROPPED.get(kind, {})
    lost += [
        f"{path}.{name}: {instead}"
        for name, instead in dropped.items()
        if (value := getattr(source, name, None)) and value != _DEFAULTS.get(name)
    ]
    if kind == "Email":
        return Email(phases, source.recipients, template=_template(source.subject, source.body))
    if kind in ("Slack", "Teams", "Webhook"):
        url = source.url if kind == "Webhook" else source.webhook_url
        channel = channels.get(url)
        if channel is None:
            # The URL of a webhook is a secret as often as not, so it is not repeated.
            lost.append(f"{path}: its URL belongs in a NotificationChannel; name that by channels={{url: name}}")
            return None
        if kind == "Webhook":
            return Webhook(phases, channel=channel)
        if kind == "Teams":
            return Service(phases, "teams", channel=channel, template=_template(source.title, source.message))
        return Slack(phases, [f"#{channel}"], channel=channel, template=_template(None, source.message))
    lost.append(f"{path}: {_UNKNOWN.get(kind, f'there is nothing like {kind}')}")
    return None


_DROPPED: Final[Mapping[str, Mapping[str, str]]] = {
    "Email": {
        "cc": "there are only recipients",
        "bcc": "there are only recipients",
        "html_body": "the operator makes the HTML of a mail from its text",
    },
    "Slack": {"blocks": "the operator makes the blocks"},
    "Teams": {"card": "the operator makes the card"},
    "Webhook": {
        "method": "the operator sends POST",
        "headers": "headers are the channel's",
        "body": "the operator sends a CloudEvent",
    },
}
_UNKNOWN: Final = {
    "NamedDelivery": "name a NotificationChannel instead: Email(…, channel=…)",
}


def _phases(on_phase: Any) -> list[int]:
    listed = on_phase if isinstance(on_phase, tuple | list) else (on_phase,)
    names = [str(getattr(phase, "value", phase)).upper() for phase in listed]
    # An unknown one is refused by the notification, in flytekit's words.
    return [getattr(WorkflowExecutionPhase, name, 0) for name in names]


def _template(subject: str | None, body: str | None) -> Template | None:
    texts = {
        "subject": None if subject == _DEFAULTS["subject"] else _translated(subject),
        "body": None if body == _DEFAULTS["body"] else _translated(body),
    }
    return Template(**texts) if any(texts.values()) else None


def _translated(text: str | None) -> str | None:
    """A text with this project's variables for flyte's; any other is refused with the template, at the latest."""
    if text is None:
        return None
    return re.sub(r"\{\{\s*(\.[\w.]+)\s*\}\}", lambda found: f"{{{{ {_VARIABLES.get(found[1], found[1])} }}}}", text)
