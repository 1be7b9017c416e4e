"""Kubernetes clusters to develop and test against: an embedded control plane, or one that the user names.

    from execution_options.cluster import ControlPlane

    with ControlPlane.start("mine") as cluster:
        cluster.run_kubectl(["get", "nodes"])

Pods run and end as annotations of theirs ask:

- `sim.execution.dev/outcome`: `succeed`, `fail` or `never`; by default `never` where the pod's `restartPolicy` is
  `Always`, else `succeed`.
- `sim.execution.dev/duration`: how long the pod runs, such as `1.5s`; by default it ends at once.
- `sim.execution.dev/exit-code`: of each container of a pod that fails; by default 1.
"""

from .cluster import Cluster
from .control_plane import ComponentStatus, ControlPlane
from .errors import ClusterError
from .named import NamedCluster

__all__ = ["Cluster", "ClusterError", "ComponentStatus", "ControlPlane", "NamedCluster"]
