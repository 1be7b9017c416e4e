"""kopf's own webhook server, with a handler that gives pods constant labels and annotations.

``python -m benchmarks.kopf_webhook PORT CERTIFICATE KEY METADATA``: METADATA is a file of JSON with both.
The cluster is that of KUBECONFIG.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import kopf
import msgspec


def main() -> None:
    """Serve until SIGTERM."""
    port, certificate, key, metadata = sys.argv[1:]
    added = msgspec.json.decode(Path(metadata).read_bytes())

    @kopf.on.startup()
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.admission.server = kopf.WebhookServer(
            addr="127.0.0.1", port=int(port), certfile=certificate, pkeyfile=key
        )

    @kopf.on.mutate("pods", id="mutate")
    def mutate(patch: kopf.Patch, **_: Any) -> None:
        patch.metadata.labels.update(added["labels"])
        patch.metadata.annotations.update(added["annotations"])

    kopf.configure(log_format=kopf.LogFormat.PLAIN)
    kopf.run(standalone=True, clusterwide=True)


if __name__ == "__main__":
    main()
