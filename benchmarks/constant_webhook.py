"""The floor of any webhook written in Python: aiohttp, and one constant patch for every request.

``python -m benchmarks.constant_webhook PORT CERTIFICATE KEY PATCH [RECORD]``: PATCH is a file with a JSON patch;
the body of the last request is written to RECORD.
"""

from __future__ import annotations

import base64
import ssl
import sys
from pathlib import Path

import msgspec
from aiohttp import web
from msgspec import Struct


class _Request(Struct):
    uid: str


class _Review(Struct):
    request: _Request


def application(patch: bytes, record: Path | None) -> web.Application:
    """The server's one route, ``/``."""
    decoder = msgspec.json.Decoder(_Review)
    encoded = base64.b64encode(patch).decode()

    async def answer(http: web.Request) -> web.Response:
        body = await http.read()
        if record is not None:
            record.write_bytes(body)  # noqa: ASYNC240 - nothing is measured then
        response = {"uid": decoder.decode(body).request.uid, "allowed": True}
        if patch:
            response |= {"patchType": "JSONPatch", "patch": encoded}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return web.Response(body=msgspec.json.encode(review), content_type="application/json")

    app = web.Application()
    app.router.add_post("/", answer)
    return app


def main() -> None:
    """Serve until SIGTERM."""
    port, certificate, key, patch, *rest = sys.argv[1:]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    app = application(Path(patch).read_bytes(), Path(rest[0]) if rest else None)
    web.run_app(app, host="127.0.0.1", port=int(port), ssl_context=tls, access_log=None, print=None)


if __name__ == "__main__":
    main()
