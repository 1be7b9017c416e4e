"""The webhook's certificates: created, shared by all replicas, trusted by the API server, and replaced in time.

Run one :class:`CertificateManager` beside each webhook server and give its ``ssl_context`` to the server::

    manager = CertificateManager(
        kube, namespace="tools", service="webhook", secret="webhook-certificates", configuration="webhook"
    )
    task = asyncio.create_task(manager.run())
    await web.TCPSite(runner, port=9443, ssl_context=manager.ssl_context).start()
    await manager.ready.wait()
"""

from execution_options.certificates.authority import Policy
from execution_options.certificates.injection import Target
from execution_options.certificates.manager import CertificateManager

__all__ = ["CertificateManager", "Policy", "Target"]
