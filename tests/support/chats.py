"""Receivers that speak the protocols of chats and of Opsgenie, and refuse what these refuse, in their words.

Where the words are from: Teams, https://learn.microsoft.com/en-us/connectors/teams/ and
laravel-notification-channels/microsoft-teams#42; Google Chat, https://developers.google.com/workspace/chat/limits and
https://cloud.google.com/apis/design/errors; Discord, https://docs.discord.com/developers/topics/rate-limits and
abahmed/kwatch#194; Mattermost, mattermost/mattermost#30071; Rocket.Chat, its
``apps/meteor/app/integrations/server/api/api.ts``; Opsgenie, https://docs.opsgenie.com/docs/response and
prometheus/alertmanager#2088.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from support.services import Received, Says, Service

JSON = {"content-type": "application/json"}


def _says(status: int, document: Any) -> Says:
    return Says(status, json.dumps(document), JSON)


class Chat(Service):
    """An incoming webhook at ``/hooks/canary``; ``posted`` are the messages that it took."""

    limited = Says(429, "", {"retry-after": "7"})
    """What it says to too many requests."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Any] = []

    @property
    def hook(self) -> str:
        return f"{self.url}/hooks/canary"

    def usual(self, request: Received) -> Says:
        if request.method != "POST" or "json" not in request.headers.get("content-type", ""):
            return Says(415)
        if request.path != "/hooks/canary":
            return self.unknown()
        problem = self.problem(request.json)
        if problem is not None:
            return problem
        self.posted.append(request.json)
        return self.accepted()

    def unknown(self) -> Says:
        return Says(404)

    def accepted(self) -> Says:
        return Says(200)

    def problem(self, message: Any) -> Says | None:
        return None


class Teams(Chat):
    """A workflow whose trigger has the schema of its documentation."""

    limited = Says(429, json.dumps({"error": {"code": "WorkflowRunActionRateExceeded", "message": "throttled"}}),
                   JSON | {"retry-after": "7"})  # fmt: skip

    def unknown(self) -> Says:
        return _says(404, {"error": {"code": "WorkflowNotFound", "message": "The workflow could not be found."}})

    def accepted(self) -> Says:
        return Says(202)

    def problem(self, message: Any) -> Says | None:
        if len(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()) > 28 * 1024:
            return Says(413, "Request Entity too large")
        for attachment in message.get("attachments", [{}]):
            missing = {"contentType", "contentUrl", "content"} - attachment.keys()
            if missing or attachment["content"].get("type") != "AdaptiveCard":
                text = f"Required properties are missing from object: {', '.join(sorted(missing))}."
                return _says(400, {"error": {"code": "TriggerInputSchemaMismatch", "message": text}})
        return None


class GoogleChat(Chat):
    limited = _says(429, {"error": {"code": 429, "message": "Resource has been exhausted (e.g. check quota).",
                                    "status": "RESOURCE_EXHAUSTED"}})  # fmt: skip

    def unknown(self) -> Says:
        return _says(404, {"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}})

    def accepted(self) -> Says:
        return _says(200, {"name": "spaces/AAAA/messages/BBBB.BBBB"})

    def problem(self, message: Any) -> Says | None:
        sections = [section for card in message.get("cardsV2", []) for section in card["card"]["sections"]]
        if not message.get("text") and not sections:
            text = "Message cannot be empty."
            return _says(400, {"error": {"code": 400, "message": text, "status": "INVALID_ARGUMENT"}})
        return None


class Discord(Chat):
    limited = Says(
        429,
        json.dumps({"message": "You are being rate limited.", "retry_after": 6.57, "global": False}),
        JSON | {"retry-after": "7", "x-ratelimit-scope": "shared"},
    )

    def unknown(self) -> Says:
        return _says(404, {"message": "Unknown Webhook", "code": 10015})

    def accepted(self) -> Says:
        return Says(204)

    def problem(self, message: Any) -> Says | None:
        limits = {"title": 256, "description": 4096}
        texts = 0
        for embed in message.get("embeds", []):
            long = [name for name, most in limits.items() if len(embed.get(name, "")) > most]
            fields = embed.get("fields", [])
            long += ["fields" for one in fields if len(one["name"]) > 256 or len(one["value"]) > 1024]
            texts += sum(len(embed.get(name, "")) for name in limits) + len(embed["footer"]["text"])
            texts += sum(len(one["name"]) + len(one["value"]) for one in fields)
            if long or len(fields) > 25 or texts > 6000:
                errors = {"embeds": {"0": {name: {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH"}]} for name in long}}}
                return _says(400, {"code": 50035, "errors": errors, "message": "Invalid Form Body"})
        return None if message.get("embeds") else _says(400, {"message": "Cannot send an empty message", "code": 50006})


class Mattermost(Chat):
    limited = Says(429, "limit exceeded", {"x-ratelimit-reset": "1", "retry-after": "7"})

    def unknown(self) -> Says:
        return self.error(400, "web.incoming_webhook.invalid.app_error", "Invalid webhook.")

    def accepted(self) -> Says:
        return Says(200, "ok", {"content-type": "text/plain"})

    def error(self, status: int, code: str, message: str) -> Says:
        document = {"id": code, "message": message, "detailed_error": "", "request_id": "x", "status_code": status}
        return _says(status, document)

    def problem(self, message: Any) -> Says | None:
        if not message.get("text") and not message.get("attachments"):
            return self.error(400, "web.incoming_webhook.text.app_error", "No text specified.")
        return None


class RocketChat(Chat):
    limited = _says(429, {"success": False, "error": "Error, too many requests. Please slow down. You must wait 7 "
                          "seconds before trying this endpoint again. [error-too-many-requests]"})  # fmt: skip

    def unknown(self) -> Says:
        return _says(404, {"success": False, "error": "Invalid integration id or token provided."})

    def accepted(self) -> Says:
        return _says(200, {"success": True})


class Opsgenie(Service):
    """The Alert API for one key; ``alerts`` are by alias: ``open`` or ``closed``."""

    limited = Says(429, json.dumps({"message": "You are making too many requests!", "took": 0.0, "requestId": "x"}),
                   JSON | {"retry-after": "7"})  # fmt: skip

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
        self.posted: list[Any] = []
        self.alerts: dict[str, str] = {}

    @property
    def api(self) -> str:
        return f"{self.url}/v2/alerts"

    def usual(self, request: Received) -> Says:
        if request.headers.get("authorization") != f"GenieKey {self._key}":
            return _says(401, {"message": "Could not authenticate", "took": 0.001, "requestId": "x"})
        document, (empty, version, alerts, *rest) = request.json, request.raw_path.split("/")
        if (empty, version, alerts) != ("", "v2", "alerts"):
            return _says(404, {"message": "No handler found", "took": 0.0, "requestId": "x"})
        if rest:
            alias, action = rest
            if action != "close" or request.query.get("identifierType") != "alias":
                return _says(422, {"message": "Request body is not processable.", "took": 0.0, "requestId": "x"})
            self.alerts[unquote(alias)] = "closed"
        else:
            limits = {"message": 130, "alias": 512, "description": 15000}
            errors = {name: f"should be at most {most}" for name, most in limits.items() if len(document[name]) > most}
            if not document["message"] or document["priority"] not in ("P1", "P2", "P3", "P4", "P5"):
                errors["priority"] = "should be one of [ P1, P2, P3, P4, P5 ]"
            if errors:
                text = "Request body is not processable. Please check the errors."
                return _says(422, {"message": text, "errors": errors, "took": 0.0, "requestId": "x"})
            self.alerts[document["alias"]] = "open"
        self.posted.append(document)
        return _says(202, {"result": "Request will be processed", "took": 0.3, "requestId": "x"})
