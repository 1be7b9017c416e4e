"""The components of a control plane: their command lines and health endpoints."""

from __future__ import annotations

import ipaddress
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ClusterError

if TYPE_CHECKING:
    from .state import ClusterState

HOST = "127.0.0.1"
SERVICE_RANGE = ipaddress.IPv4Network("10.96.0.0/16")
SERVICE_IP = SERVICE_RANGE[1]
"""Address of the `kubernetes` Service: the range's first."""

STAGES = Path(__file__).with_name("kwok")
"""The kwok Stages: how nodes come up, and how pods run and end."""

# Below every system's ephemeral ports: an outgoing connection cannot take the port of a component that is restarting
# (nor connect to itself through it), and above are the NodePorts of Services.
_PORTS = range(20_000, 30_000)
_PORT_ATTEMPTS = 200

# Defaults are made for a shared production cluster; here one user waits for it.
_CLIENT_RATE = ("--kube-api-qps=5000", "--kube-api-burst=10000")
# A kwok that is started again waits until the lease of the one that died has passed.
_LEASE_SECONDS = 6


@dataclass(frozen=True, slots=True)
class Component:
    """One program to run.

    Attributes:
        name: The program's name.
        port: The loopback port on which it answers.
        arguments: Its arguments.
    """

    name: str
    port: int
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ports:
    """The loopback ports of one control plane."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int

    @classmethod
    def free(cls) -> Ports:
        """Free ports; another process may still take one first.

        Raises:
            ClusterError: There are not enough.
        """
        chosen: list[int] = []
        for port in random.sample(_PORTS, _PORT_ATTEMPTS):
            if _is_free(port):
                chosen.append(port)
            if len(chosen) == len(cls.__slots__):
                return cls(*chosen)
        raise ClusterError(f"no free ports between {_PORTS.start} and {_PORTS.stop} on {HOST}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def components(state: ClusterState, ports: Ports, emulated_version: str | None) -> list[Component]:
    """Every component, in the order in which they start.

    Args:
        state: Where certificates, kubeconfigs and data are.
        ports: Where they listen.
        emulated_version: The Kubernetes minor version to pretend to be, such as `1.34`; None for the programs' own.
    """
    emulation = () if emulated_version is None else (f"--emulated-version=kube={emulated_version}",)
    return [
        _etcd(state, ports),
        _apiserver(state, ports, emulation),
        _controller_manager(state, ports, emulation),
        _scheduler(state, ports, emulation),
        _kwok(state, ports),
    ]


def environment(state: ClusterState) -> dict[str, str]:
    """The process environment of every component: this process's, without settings meant for a user's own programs."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ETCD_", "KWOK_"))}
    # kwok would otherwise add the stages in the user's home to ours.
    return {**inherited, "KWOK_WORKDIR": str(state.data / "kwok")}


def client_kubeconfig(state: ClusterState, client: str) -> Path:
    """The kubeconfig of a component that is a client of the API server."""
    return state.pki / f"{client}.kubeconfig"


def _etcd(state: ClusterState, ports: Ports) -> Component:
    pki = state.pki
    client, peer = f"https://{HOST}:{ports.etcd}", f"https://{HOST}:{ports.etcd_peer}"
    arguments = [
        f"--data-dir={state.data / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        # Its only member elects itself as soon as this has passed: a second less to wait for.
        "--heartbeat-interval=50",
        "--election-timeout=250",
        # A power cut may lose a test cluster's last writes; in return every write is several times faster.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]
    for prefix in ("", "peer-"):
        arguments += [
            f"--{prefix}cert-file={pki / 'serving.crt'}",
            f"--{prefix}key-file={pki / 'serving.key'}",
            f"--{prefix}trusted-ca-file={pki / 'ca.crt'}",
            f"--{prefix}client-cert-auth=true",
        ]
    return Component("etcd", ports.etcd, tuple(arguments))


def _apiserver(state: ClusterState, ports: Ports, emulation: tuple[str, ...]) -> Component:
    pki = state.pki
    arguments = (
        f"--etcd-servers=https://{HOST}:{ports.etcd}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'etcd-client.key'}",
        *_serving(state, ports.apiserver),
        f"--advertise-address={HOST}",
        # The `kubernetes` Service has no endpoints: no pod ever runs that could use it, and loopback is no endpoint.
        "--endpoint-reconciler-type=none",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--max-requests-inflight=2000",
        "--max-mutating-requests-inflight=1000",
        "--delete-collection-workers=8",
        *_audit(state),
        *_admission(state),
        *emulation,
    )
    return Component("kube-apiserver", ports.apiserver, arguments)


def _audit(state: ClusterState) -> tuple[str, ...]:
    if not state.audit_policy.exists():
        return ()
    return f"--audit-policy-file={state.audit_policy}", f"--audit-log-path={state.audit_log}"


def _admission(state: ClusterState) -> tuple[str, ...]:
    if not state.admission_configuration.exists():
        return ()
    return (f"--admission-control-config-file={state.admission_configuration}",)


def _controller_manager(state: ClusterState, ports: Ports, emulation: tuple[str, ...]) -> Component:
    pki, kubeconfig = state.pki, client_kubeconfig(state, "kube-controller-manager")
    arguments = (
        *_serving(state, ports.controller_manager),
        *_client(kubeconfig),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--concurrent-gc-syncs=50",
        "--concurrent-job-syncs=50",
        "--concurrent-namespace-syncs=50",
        "--concurrent-serviceaccount-token-syncs=20",
        *emulation,
    )
    return Component("kube-controller-manager", ports.controller_manager, arguments)


def _scheduler(state: ClusterState, ports: Ports, emulation: tuple[str, ...]) -> Component:
    kubeconfig = client_kubeconfig(state, "kube-scheduler")
    arguments = (*_serving(state, ports.scheduler), *_client(kubeconfig), *emulation)
    return Component("kube-scheduler", ports.scheduler, arguments)


def _kwok(state: ClusterState, ports: Ports) -> Component:
    arguments = (
        f"--kubeconfig={client_kubeconfig(state, 'kwok')}",
        "--manage-all-nodes=true",
        f"--node-lease-duration-seconds={_LEASE_SECONDS}",
        "--cidr=10.0.0.0/14",
        f"--node-ip={HOST}",
        f"--server-address={HOST}:{ports.kwok}",
        *(f"--config={path}" for path in sorted(STAGES.glob("*.yaml"))),
    )
    return Component("kwok", ports.kwok, arguments)


def _serving(state: ClusterState, port: int) -> tuple[str, ...]:
    return (
        f"--bind-address={HOST}",
        f"--secure-port={port}",
        f"--tls-cert-file={state.pki / 'serving.crt'}",
        f"--tls-private-key-file={state.pki / 'serving.key'}",
    )


def _client(kubeconfig: Path) -> tuple[str, ...]:
    return (
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--leader-elect=false",
        *_CLIENT_RATE,
    )
