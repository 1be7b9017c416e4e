"""An index of the webhook, and the API server that it reads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec

from execution_options.api.names import OPTIONS_KIND
from execution_options.kube.client import ApiError
from execution_options.webhook.freshoptions import FreshOptions, Stored
from execution_options.webhook.index import Index

PATH = "/apis/execution.dev/v1beta1/namespaces/team/executionoptions"
CLUSTER = "/apis/execution.dev/v1beta1/clusterexecutionoptions"
DESCRIPTIONS = "/apis/execution.dev/v1beta1/executionengines"


class Answers:
    """An API server whose answers are given by path; an exception is raised, ``None`` never comes."""

    server = "http://nowhere"

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {PATH: [], CLUSTER: [], **answers}
        self.asked: list[str] = []

    async def get(self, path: str, **_: Any) -> bytes:
        self.asked.append(path)
        answer = self.answers.get(path, ApiError(404, "NotFound", "nothing"))
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            await asyncio.sleep(60)
        return json.dumps({"items": answer} if isinstance(answer, list) else answer).encode()


def options(name: str, version: str, label: str, generation: int | None = None) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": "team",
        "uid": name,
        "resourceVersion": version,
        "generation": int(version) if generation is None else generation,
    }
    return {"metadata": metadata, "spec": {"selector": {}, "labels": {"a": label}}}


def fill(options: FreshOptions, *stored: dict[str, Any]) -> FreshOptions:
    """Put objects into the store as if it had listed them."""
    for one in stored:
        listed = msgspec.json.decode(json.dumps(one), type=Stored)
        options._stores[OPTIONS_KIND].items["team", listed.metadata.name] = options._decoded(OPTIONS_KIND, listed)
    return options


def index_with(kube: Any, *stored: dict[str, Any]) -> Index:
    """An index that has some options in memory."""
    index = Index(kube, "system")
    fill(index.options, *stored)
    return index
