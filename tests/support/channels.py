"""Manifests of notification channels that Python and the real API server must judge alike."""

from __future__ import annotations

from functools import cache
from typing import Any

from execution_options.api.names import CHANNEL_KIND
from support.manifests import Case

KEY = {"name": "s", "key": "k"}
MAIL = {"host": "smtp.example.com", "from": "a@b.c"}


def _case(title: str, spec: dict[str, Any], path: str = "", message: str = "", python: str = "") -> Case:
    return Case(title, spec, path, message, python, kind=CHANNEL_KIND)


def _mail(**changes: Any) -> dict[str, Any]:
    return {"email": MAIL | changes}


def _hook(**changes: Any) -> dict[str, Any]:
    return {"webhook": changes}


def _muted(*mute: dict[str, Any]) -> dict[str, Any]:
    return _mail() | {"mute": list(mute)}


def _http(**changes: Any) -> dict[str, Any]:
    given = {"url": "https://a.b/", "body": '{"text": "{{ subject }}"}'} | changes
    return {"http": {name: value for name, value in given.items() if value is not None}}


def _rocket(said: str) -> dict[str, Any]:
    return {"slack": {"webhookURLSecretRef": KEY, "webhookSuccess": said}}


@cache
def refused() -> tuple[Case, ...]:
    """Channels that must be refused."""
    return (
        _case("no type", {}, "spec", "opsgenie and http, but it has none"),
        _case("two types", _mail() | _hook(url="https://a.b/"), "spec", "but it has email, webhook"),
        _case("no host", {"email": {"from": "a@b.c"}}, "spec.email.host", "Required value", "is required"),
        _case("a host with a port", _mail(host="smtp.example.com:25"), "spec.email.host", "is not a host"),
        _case("a host that is a URL", _mail(host="smtp://example.com"), "spec.email.host", "is not a host"),
        _case("port 0", _mail(port=0), "spec.email.port", "should be greater than or equal to 1", "must be from 1"),
        _case("unknown tls", _mail(tls="Maybe"), "spec.email.tls", "Unsupported value"),
        _case("a sender without address", _mail(**{"from": "Team"}), "spec.email.from", "is not a sender"),
        _case("a sender with a line break", _mail(**{"from": "A\n<a@b.c>"}), "spec.email.from", "is not a sender"),
        _case("two senders", _mail(**{"from": "a@b.c, d@e.f"}), "spec.email.from", "is not a sender"),
        _case("an answer to nobody", _mail(replyTo="Team <>"), "spec.email.replyTo", "is not a sender"),
        _case(
            "no authority", _mail(ca={}), "spec.email.ca", "exactly one of configMapRef and secretRef, but it has none"
        ),
        _case(
            "a password in the spec",
            _mail(auth={"usernameSecretRef": KEY, "password": "x"}),
            "spec.email.auth",
            "unknown field",
        ),
        _case(
            "a key that is none",
            _mail(auth={"usernameSecretRef": KEY, "passwordSecretRef": {"name": "s", "key": "a b"}}),
            "spec.email.auth.passwordSecretRef.key",
            "is not a key of a Secret",
        ),
        _case("no password", _mail(auth={"usernameSecretRef": KEY}), "spec.email.auth", "but it has none"),
        _case(
            "a password and a token",
            _mail(auth={"usernameSecretRef": KEY, "passwordSecretRef": KEY, "accessTokenSecretRef": KEY}),
            "spec.email.auth",
            "exactly one of passwordSecretRef and accessTokenSecretRef",
        ),
        _case("a short name in EHLO", _mail(heloName="pod-1"), "spec.email.heloName", "is not what a client may call"),
        _case("two words in EHLO", _mail(heloName="a.b c.d"), "spec.email.heloName", "is not what a client may call"),
        *(
            _case(
                f"proxy {url!r}",
                _hook(url="https://a.b/") | {"proxyURL": url},
                "spec.proxyURL",
                "is not the URL of a proxy",
            )
            for url in (
                "proxy:3128",
                "https://proxy:3128",
                "socks5://proxy",
                "http://u:p@proxy:3128",
                "http://proxy/x",
                "",
            )
        ),
        _case("a proxy for mail", _mail() | {"proxyURL": "http://a.b"}, "spec", "mail goes to its server directly"),
        _case("slack without a secret", {"slack": {}}, "spec.slack", "slack needs exactly one of botTokenSecretRef"),
        _case(
            "slack twice",
            {"slack": {"botTokenSecretRef": KEY, "webhookURLSecretRef": KEY}},
            "spec.slack",
            "but it has botTokenSecretRef, webhookURLSecretRef",
        ),
        *(
            _case(f"success that is {said!r}", _rocket(said), "spec.slack.webhookSuccess", "is not an answer to expect")
            for said in (
                "",
                "{}",
                "{success: true}",
                '{"a": true, "b": true}',
                '{"a": {"b": 1}}',
                "a\nb",
                '{"a": 01.5}',
            )
        ),
        _case(
            "success of a bot",
            {"slack": {"botTokenSecretRef": KEY, "webhookSuccess": "ok"}},
            "spec.slack",
            "webhookSuccess is for an incoming webhook",
        ),
        _case("pagerDuty without a key", {"pagerDuty": {}}, "spec.pagerDuty", "needs a routingKeySecretRef"),
        _case(
            "pagerDuty without services",
            {"pagerDuty": {"services": []}},
            "spec.pagerDuty",
            "needs a routingKeySecretRef",
        ),
        _case("a webhook without URL", _hook(), "spec.webhook", "exactly one of url and urlSecretRef, but it has none"),
        _case("credentials in a URL", _hook(url="https://user:password@a.b/"), "spec.webhook.url", "is not a URL"),
        _case("another scheme", _hook(url="ftp://a.b/"), "spec.webhook.url", "is not a URL"),
        _case("a local file", _hook(url="file:///etc/passwd"), "spec.webhook.url", "is not a URL"),
        _case("a URL with a space", _hook(url="https://a.b/ c"), "spec.webhook.url", "is not a URL"),
        _case("a URL with a fragment", _hook(url="https://a.b/#c"), "spec.webhook.url", "is not a URL"),
        *(
            _case(f"{name} without its URL", {name: {}}, f"spec.{name}.urlSecretRef", "Required value", "is required")
            for name in ("teams", "googleChat", "discord", "mattermost", "rocketChat")
        ),
        _case(
            "a URL of teams in the spec",
            {"teams": {"urlSecretRef": KEY, "url": "https://a.b/"}},
            "spec.teams",
            "unknown field",
        ),
        _case("opsgenie without a key", {"opsgenie": {}}, "spec.opsgenie.apiKeySecretRef", "Required", "is required"),
        _case("http without a body", _http(body=None), "spec.http.body", "Required value", "is required"),
        _case("http without URL", _http(url=None), "spec.http", "exactly one of url and urlSecretRef, but it has none"),
        *(
            _case(f"a body that is {body!r}", _http(body=body), "spec.http.body", "is not a JSON object")
            for body in ("", "text: {{ subject }}", "[1]", '"{}"', "{", "}{")
        ),
        *(
            _case(f"the path {path!r}", _http(success={"path": path}), "spec.http.success.path", "is not a path")
            for path in ("ok", "$.ok", ".", ".a.", ".a[]", ".a[-1]", ".a b", "")
        ),
        _case(
            "a success of 404",
            _http(success={"statuses": [404]}),
            "spec.http.success.statuses[0]",
            "should be less than or equal to 299",
            "must be from 200",
        ),
        *(
            _case(f"the header {name!r}", _http(headers={name: "v"}), "spec.http.headers", "header")
            for name in ("a b", "Host", "CONTENT-LENGTH", "é", "")
        ),
        _case("a header of two lines", _http(headers={"a": "b\nc: d"}), "spec.http.headers", "only ASCII is possible"),
        _case("a header with é", _http(headers={"a": "é"}), "spec.http.headers", "only ASCII is possible"),
        _case(
            "two words for a key", _http(idempotencyHeader="a b"), "spec.http.idempotencyHeader", "is not the name of a"
        ),
        _case("no message per second", _http(messagesPerSecond=0), "spec.http.messagesPerSecond", "greater", "must be"),
        _case("GET", _http(method="GET"), "spec.http.method", "Unsupported value"),
        _case("markup of Slack", _http(escape="Slack"), "spec.http.escape", "Unsupported value"),
        *(
            _case(f"a time {text!r}", _muted({"from": text}), "spec.mute[0].from", "is not a time of the day")
            for text in ("7:00", "24:01", "0700", "")
        ),
        _case("a muted day without a name", _muted({"days": ["Sat"]}), "spec.mute[0].days[0]", "Unsupported value"),
        _case("no muted day", _muted({"days": []}), "spec.mute[0].days", "at least one day is needed"),
        _case("a zone of two words", _muted({"timeZone": "a b"}), "spec.mute[0].timeZone", "is not a time zone"),
        _case("a time that is empty", _muted({"from": "07:00", "to": "07:00"}), "spec.mute", "are the same time"),
        _case("a time that ends where it begins", _muted({"from": "24:00"}), "spec.mute", "are the same time"),
        _case(
            "a link that is no URL",
            _hook(url="https://a.b/") | {"executionURL": "{{ name }}"},
            "spec.executionURL",
            "is not a pattern of URLs",
        ),
    )


@cache
def accepted() -> tuple[Case, ...]:
    """Channels that must be accepted."""
    return (
        _case("mail, in short", _mail()),
        _case(
            "mail, with everything",
            _mail(
                port=465,
                tls="Implicit",
                auth={"usernameSecretRef": KEY, "passwordSecretRef": KEY},
                ca={"configMapRef": KEY},
                replyTo="Team <team@example.com>",
            )
            | {"default": True, "allowedNamespaces": {}},
        ),
        _case(
            "mail by token",
            _mail(auth={"usernameSecretRef": KEY, "accessTokenSecretRef": KEY}, heloName="executions.example.com"),
        ),
        _case("an address in EHLO", _mail(heloName="[IPv6:2001:db8::1]")),
        _case("mail to an address", _mail(host="2001:db8::1", **{"from": "執行 <a@b.c>"})),
        *(
            _case(f"success that is {said}", _rocket(said))
            for said in ("ok", '{"success":true}', '{ "result" : "success" }', '{"code":0}', "message sent")
        ),
        _case("an incoming webhook", {"slack": {"webhookURLSecretRef": KEY}}),
        _case("services", {"pagerDuty": {"services": [{"name": "db@b.c", "routingKeySecretRef": KEY}]}}),
        _case("a webhook", _hook(url="http://[::1]:8080/a?b=%20", signingSecretRefs=[KEY, KEY])),
        _case("a proxy", _hook(url="https://a.b/") | {"proxyURL": "http://proxy.example.com:3128"}),
        *(
            _case(name, {name: {"urlSecretRef": KEY, "ca": {"configMapRef": KEY}}})
            for name in ("teams", "googleChat", "discord", "mattermost", "rocketChat")
        ),
        _case("opsgenie", {"opsgenie": {"apiKeySecretRef": KEY, "apiURL": "https://api.eu.opsgenie.com/v2/alerts"}}),
        _case("any service, in short", _http()),
        _case(
            "any service, with everything",
            _http(
                url=None,
                urlSecretRef=KEY,
                method="PATCH",
                headers={"X-Team": "ml, vision"},
                headersSecretRef={"name": "h"},
                body=' \n{\n"a": ["{{ subject }}"]\n}\n',
                escape="Markdown",
                success={"statuses": [200, 201], "path": ".a[0].b-c", "value": ""},
                idempotencyHeader="Idempotency-Key",
                messagesPerSecond=5,
            )
            | {"proxyURL": "http://proxy.example.com:3128"},
        ),
        _case("nights", _muted({"from": "22:00", "to": "07:00", "timeZone": "Europe/Berlin"}, {"days": ["Sunday"]})),
        _case("a secret URL", _hook(urlSecretRef=KEY, headersSecretRef={"name": "h"})),
        _case("a link", _hook(url="https://a.b") | {"executionURL": "https://a.b/#/{{ name }}"}),
    )
