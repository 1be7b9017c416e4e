"""The permissions that certificates need are these and no more."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import yaml

from execution_options.kube.client import Kube, path_of
from execution_options.kube.encoding import JSON_PATCH

from .conftest import SECRET, Site, eventually

if TYPE_CHECKING:
    from pathlib import Path

    from execution_options.cluster import ControlPlane

pytestmark = pytest.mark.e2e

RBAC = """
apiVersion: v1
kind: ServiceAccount
metadata: {{name: webhook, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{name: certificates, namespace: {namespace}}}
rules:
- {{apiGroups: [""], resources: [secrets], verbs: [create]}}
- {{apiGroups: [""], resources: [secrets], resourceNames: [{secret}], verbs: [get, update, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: certificates, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: certificates}}
subjects: [{{kind: ServiceAccount, name: webhook, namespace: {namespace}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {configuration}}}
rules:
- apiGroups: [admissionregistration.k8s.io]
  resources: [mutatingwebhookconfigurations]
  resourceNames: [{configuration}]
  verbs: [get, patch, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {configuration}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {configuration}}}
subjects: [{{kind: ServiceAccount, name: webhook, namespace: {namespace}}}]
"""


async def test_these_permissions_suffice(
    site: Site, embedded: ControlPlane, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="execution_options.certificates")
    manifest = RBAC.format(namespace=site.namespace, secret=SECRET, configuration=site.target.name)
    await asyncio.to_thread(embedded.run_kubectl, ["apply", "-f", "-"], input=manifest)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = path_of("", "v1", "serviceaccounts", site.namespace, "webhook", "token")
    token = json.loads(await site.kube.create(path, request))["status"]["token"]
    kubeconfig = yaml.safe_load(embedded.kubeconfig.read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    own = tmp_path / "kubeconfig"
    own.write_text(yaml.safe_dump(kubeconfig))
    try:
        async with await Kube.connect(own, embedded.context) as kube:
            manager = site.manager(kube)
            await site.serve(manager)
            await site.configure()
            task = await site.run(manager)
            await asyncio.wait_for(manager.ready.wait(), 60)
            good = await site.bundles()
            # It reads once an hour: that it repairs this shows that it may watch.
            remove = [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]
            await site.kube.patch(site.target.path, remove, JSON_PATCH)

            async def repaired() -> bool:
                return await site.bundles() == good

            await eventually(repaired)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    finally:
        for kind in ("clusterrole", "clusterrolebinding"):
            await asyncio.to_thread(embedded.run_kubectl, ["delete", kind, site.target.name])
    assert "Forbidden" not in caplog.text
