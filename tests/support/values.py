"""Values of the chart that differ from its own, and few sets of them in which any two meet."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Values = dict[str, Any]

_POD: Values = {
    "replicas": 3,
    "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    "maxUnavailable": None,
    "topologySpreadConstraints": [],
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
    "podLabels": {"team": "platform"},
    "deploymentAnnotations": {"example.com/owner": "platform"},
    "revisionHistoryLimit": 2,
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["mail.example.com"]}],
    "dnsPolicy": "Default",
    "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "1"}]},
    "extraVolumes": [{"name": "authorities", "configMap": {"name": "authorities", "optional": True}}],
    "extraVolumeMounts": [{"name": "authorities", "mountPath": "/etc/ssl/company", "readOnly": True}],
    "podAnnotations": {"prometheus.io/scrape": "true"},
    "serviceAccountAnnotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"},
    "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraArgs": ["--log-level=debug"],
}
OTHER: Mapping[str, Any] = {
    "image.repository": "registry.example.com/eo",
    "image.tag": "9.9.9",
    "image.digest": f"sha256:{'0' * 64}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "registry"}],
    "commonLabels": {"team": "platform"},
    "clusterName": "prod-eu",
    "crds.enabled": False,
    "crds.keep": False,
    "log.format": "text",
    "log.level": "debug",
    "engineControllers": ["system:serviceaccount:workflows:argo", "system:serviceaccounts:engines"],
    "readers": ["system:authenticated", "oidc:data"],
    "proxy.httpProxy": "http://proxy:3128",
    "proxy.httpsProxy": "http://proxy:3128",
    "proxy.noProxy": "10.0.0.0/8,.example.com",
    "certManager.enabled": True,
    "certManager.issuerRef": {"name": "ours", "kind": "ClusterIssuer", "group": "cert-manager.io"},
    "networkPolicy.enabled": True,
    "networkPolicy.apiServers": ["10.0.0.0/28", "fd00::/120"],
    "networkPolicy.metricsFrom": [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ],
    "networkPolicy.egress": [{"ports": [{"port": 443}]}],
    "serviceMonitor.enabled": True,
    "serviceMonitor.labels": {"release": "prometheus"},
    "serviceMonitor.interval": "30s",
    "serviceMonitor.scrapeTimeout": "5s",
    "serviceMonitor.relabelings": [{"targetLabel": "cluster", "replacement": "east"}],
    "serviceMonitor.metricRelabelings": [{"action": "labeldrop", "regex": "pod"}],
    "prometheusRule.enabled": True,
    "prometheusRule.labels": {"release": "prometheus"},
    **{f"{component}.{name}": value for component in ("webhook", "controller") for name, value in _POD.items()},
    "grafana.enabled": True,
    "grafana.labels": {"dashboards": "yes"},
    "grafana.annotations": {"grafana_folder": "Workflows"},
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-extra", "namespace": "{{ .Release.Namespace }}"},
        }
    ],
    "webhook.port": 10250,
    "webhook.hostNetwork": True,
    "webhook.clientCA": "api-servers",
    "controller.leaseDurationSeconds": 7.5,
    "controller.patchesPerSecond": 0.5,
}
"""Path of a value, and another than the chart's own."""
NEEDS = {f"{component}.extraVolumeMounts": f"{component}.extraVolumes" for component in ("webhook", "controller")}
"""Path of a value, and of the one without which the API server refuses it."""


def values(chosen: Iterable[str]) -> Values:
    """The chart's values with these other ones."""
    tree: Values = {}
    paths = set(chosen)
    for path in sorted(paths | {NEEDS[path] for path in paths if path in NEEDS}):
        *parents, name = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[name] = OTHER[path]
    return tree


def pairwise() -> list[frozenset[str]]:
    """Sets of paths, of which some has any two of them, some neither, and some either one without the other.

    Each path gets a word of bits of its own that is neither the complement of another's nor ordered below it; the
    bits say in which set it is. Half of the bits are set, so no word can be part of another.
    """
    size = 2
    while len(words := [w for w in itertools.combinations(range(size), size // 2) if 0 in w]) < len(OTHER):
        size += 2
    of_path = dict(zip(OTHER, map(frozenset, words), strict=False))
    rows = [frozenset(path for path, word in of_path.items() if row in word) for row in range(size)]
    return [frozenset(), *rows]
