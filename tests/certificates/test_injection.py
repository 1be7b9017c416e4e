"""The patch that puts a bundle into a webhook configuration."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from execution_options.certificates.injection import Configuration, Target, patch_of


def configuration(*bundles: bytes | None) -> Configuration:
    webhooks: list[dict[str, Any]] = [
        {
            "name": f"w{index}.example.com",
            "clientConfig": {} if bundle is None else {"caBundle": base64.b64encode(bundle).decode()},
        }
        for index, bundle in enumerate(bundles)
    ]
    return msgspec.convert({"metadata": {"resourceVersion": "7"}, "webhooks": webhooks}, Configuration)


def test_only_what_differs_is_written_and_only_over_what_was_read() -> None:
    assert patch_of(configuration(b"new", None, b"old", b""), b"new") == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": b"new"},
        {"op": "add", "path": "/webhooks/2/clientConfig/caBundle", "value": b"new"},
        {"op": "add", "path": "/webhooks/3/clientConfig/caBundle", "value": b"new"},
    ]


def test_nothing_is_written_where_nothing_differs() -> None:
    assert patch_of(configuration(b"new", b"new"), b"new") == []
    assert patch_of(configuration(), b"new") == []


def test_paths() -> None:
    assert Target("a").path == "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/a"
