"""The webhook's certificates: made, shared by all replicas, trusted by the API server, replaced in time::

manager = CertificateManager(
    kube, namespace="execution-options", service="execution-options-webhook",
    secret="execution-options-webhook-certificates", targets=[Target("execution-options")],
)
task = asyncio.create_task(manager.run())
site = web.TCPSite(runner, port=8443, ssl_context=manager.ssl_context)
await site.start()
await manager.ready.wait()
"""

from execution_options.certificates.authority import Policy
from execution_options.certificates.injection import Target
from execution_options.certificates.manager import CertificateManager

__all__ = ["CertificateManager", "Policy", "Target"]
