"""The rules on notification channels; see ``api.rules``."""

from __future__ import annotations

import re

from execution_options.api.rule import exactly_one, holds, keys, matches, text
from execution_options.api.services import SERVICES
from execution_options.api.syntax import DNS_SUBDOMAIN, EMAIL_ADDRESS, SUBDOMAIN_SYNTAX

# Credentials in a URL would be a secret in the spec, and a fragment is never sent.
_HTTP_URL = r"https?://(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_NO_CONTROL = r"[^\x00-\x1f\x7f]"
_PLAIN = r"[^\x22\x5c\x00-\x1f\x7f]"  # in a JSON string as it is

ONE_TYPE = exactly_one("channel-type", "a channel", SERVICES)
SECRET_NAME = text("secret-name", DNS_SUBDOMAIN, f"is not the name of an object: {SUBDOMAIN_SYNTAX}")
SECRET_KEY = text(
    "secret-key",
    "[-._a-zA-Z0-9]+",
    "is not a key of a Secret or ConfigMap: letters, digits, '-', '_' and '.', for example token",
)
ONE_CA = exactly_one("one-ca", "a certificate authority", ("configMapRef", "secretRef"))
ONE_SLACK = exactly_one("one-slack", "slack", ("botTokenSecretRef", "webhookURLSecretRef"))
WEBHOOK_SUCCESS = text(
    "webhook-success",
    rf'[^{{\x00-\x1f\x7f]{_NO_CONTROL}*|\{{ *"{_PLAIN}+" *: *(?:true|false|0|[1-9][0-9]*|"{_PLAIN}*") *\}}',
    "is not an answer to expect: write a text, for example ok, or one member of a JSON object, for example "
    '{"success": true}',
)
SUCCESS_OF_WEBHOOK = holds(
    "success-of-webhook",
    "!has(self.webhookSuccess) || has(self.webhookURLSecretRef)",
    lambda value: "webhookSuccess" not in value or "webhookURLSecretRef" in value,
    "webhookSuccess is for an incoming webhook: it needs webhookURLSecretRef",
)
ONE_WEBHOOK_URL = exactly_one("one-webhook-url", "webhook", ("url", "urlSecretRef"))
ONE_HTTP_URL = exactly_one("one-http-url", "http", ("url", "urlSecretRef"))
_HEADER = r"[-!#$%&*+.^_`|~0-9A-Za-z]+"
_OURS = r"(?i:host|content-length|content-type|transfer-encoding|connection|te|upgrade)"
HEADER_NAME = text("header-name", _HEADER, "is not the name of a header, for example Idempotency-Key")
HEADER_VALUE = text("header-value", r"[\x20-\x7e\t]*", "is not the value of a header: only ASCII is possible")
HEADER_NAMES = keys(
    "header-names",
    f"{matches('k', _HEADER)} && !{matches('k', _OURS)}",
    lambda key: re.fullmatch(_HEADER, key) is not None and re.fullmatch(_OURS, key) is None,
    "header",
    "is not possible: it is not a name of a header, or the operator sets it",
)
ANSWER_PATH = text(
    "answer-path",
    r"(?:\.[-_0-9A-Za-z]+|\[[0-9]+\])+",
    "is not a path in a JSON document, for example .result.ok or .errors[0]",
)
JSON_BODY = text(
    "json-body",
    r"[ \t\r\n]*\{(?:.|\n)*\}[ \t\r\n]*",
    'is not a JSON object with variables inside of texts, for example {"text": "{{ subject }}"}',
)
SOME_ROUTING_KEY = holds(
    "some-routing-key",
    "has(self.routingKeySecretRef) || (has(self.services) && self.services.size() > 0)",
    lambda value: "routingKeySecretRef" in value or bool(value.get("services")),
    "pagerDuty needs a routingKeySecretRef for every recipient, services with a key of their own, or both",
)
URL = text(
    "http-url",
    rf"{_HTTP_URL}(?:[/?][\x21\x22\x24-\x7e]*)?",
    "is not a URL to send to: begin with https:// or http://, without user, password or #fragment, for example "
    "https://example.com/hooks; a URL that is itself a secret goes into a Secret",
)
TIME_OF_DAY = text(
    "time-of-day",
    "(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00",
    "is not a time of the day: write two digits for hours and minutes in quotes, for example '07:00'",
)
SOME_DAY = holds(
    "some-day", "self.size() > 0", lambda value: len(value) > 0, "at least one day is needed; absent: every day"
)
TIME_ZONE = text(
    "time-zone", "[A-Za-z][-+_A-Za-z0-9]*(?:/[-+_A-Za-z0-9]+)*", "is not a time zone, for example Europe/Berlin"
)
SOME_TIME = holds(
    "some-time",
    "self.all(m, !has(m.from) || m.from != (has(m.to) ? m.to : '24:00'))",
    lambda value: all(one.get("from") is None or one["from"] != one.get("to", "24:00") for one in value),
    "from and to are the same time: leave both out for a whole day",
)
PROXY_URL = text(
    "proxy-url",
    rf"{_HTTP_URL}/?".replace("https?", "http"),
    "is not the URL of a proxy: http:// and a host, perhaps with a port, without user, password and path, for example "
    "http://proxy.example.com:3128",
)
NO_PROXY_FOR_MAIL = holds(
    "no-proxy-for-mail",
    "!has(self.proxyURL) || !has(self.email)",
    lambda value: "proxyURL" not in value or "email" not in value,
    "proxyURL is for services with HTTP: mail goes to its server directly",
)
EXECUTION_URL = text(
    "execution-url",
    rf"{_HTTP_URL}[/?#]{_NO_CONTROL}*",
    "is not a pattern of URLs: begin with https:// or http://, a host and a path, and put variables in double "
    "braces, for example https://argo.example.com/workflows/{{ namespace }}/{{ name }}",
)
HOST = text(
    "smtp-host",
    r"[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?|[0-9A-Fa-f:]+",
    "is not a host: a DNS name or an IP address without port and brackets, for example smtp.example.com",
)
HELO_NAME = text(
    "helo-name",
    r"[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[-A-Za-z0-9]*[A-Za-z0-9])?)+|\[[0-9A-Za-z:.]+\]",
    "is not what a client may call itself: a full domain name, for example executions.example.com, or an address in "
    "brackets, [192.0.2.1]",
)
ONE_CREDENTIAL = exactly_one("one-credential", "auth", ("passwordSecretRef", "accessTokenSecretRef"))
MAILBOX = text(
    "mailbox",
    rf"{EMAIL_ADDRESS}|[^<>@,;:\x22\x00-\x1f\x7f]*<{EMAIL_ADDRESS}>",
    "is not a sender: write name@domain, or a name without punctuation and the address in angle brackets, for "
    "example Executions <executions@example.com>",
)
SERVICE_NAME = text(
    "pagerduty-service",
    r"[^\x00-\x20\x7f]+",
    "is not a recipient of notifications: it is empty or has a space or a control character in it",
)
