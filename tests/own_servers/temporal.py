"""Temporal's full server, which a site would run: with TLS, mutual TLS, and tokens that it checks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import CountWorkflowExecutionsRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from orchestrator.local import ports
from orchestrator.local.part import Launch
from orchestrator.local.prepare import add_search_attributes
from orchestrator.settings import child_environment, user_cache
from tests.own_servers.certificates import Authority
from tests.own_servers.tokens import Issuer
from tests.servers import a_server
from tests.workflow.bench import eventually

SERVER = user_cache() / "temporal" / "temporal-server-1.32.0"
SERVICES = ("frontend", "internal-frontend", "history", "matching", "worker")
PROMPT = {  # as the local stack has it: otherwise every hop takes 50 ms
    "history.transferProcessorMaxPollRPS": [{"value": 2000}],
    "matching.numTaskqueueReadPartitions": [{"value": 1}],
    "matching.numTaskqueueWritePartitions": [{"value": 1}],
    "system.enableEagerWorkflowStart": [{"value": True}],
    "system.forceSearchAttributesCacheRefreshOnRead": [{"value": True}],
    "frontend.enablePrincipalPropagation": [{"value": True}],
}


@dataclass(frozen=True)
class SecuredTemporal:
    """Where it listens, and a client that may do everything."""

    address: str
    admin: Client

    async def add_namespace(self, name: str) -> None:
        """A namespace as a server has it at first, without search attributes of ours."""
        retention = Duration()
        retention.FromTimedelta(timedelta(days=1))
        request = RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
        await self.admin.workflow_service.register_namespace(request)
        await eventually(lambda: self._knows(name))

    async def _knows(self, namespace: str) -> bool:
        """Whether every part of the server has heard of it."""
        try:
            await self.admin.workflow_service.count_workflow_executions(
                CountWorkflowExecutionsRequest(namespace=namespace)
            )
        except RPCError:
            return False
        return True


@asynccontextmanager
async def secured_temporal(
    folder: Path, authority: Authority, *, mutual: bool = False, issuer: Issuer | None = None
) -> AsyncIterator[SecuredTemporal]:
    """The server in one process with its data in memory; with an issuer, it takes nobody without a token."""
    if not SERVER.exists():
        pytest.skip("not on this machine: Temporal's full server (.ci/packages.sh builds it)")
    folder.mkdir()
    names = [f"{kind}_{service}" for service in SERVICES for kind in ("grpc", "membership")]
    chosen = ports.choose(names, {}, {}, any_port=True)
    _configure(folder, authority, chosen, mutual=mutual, issuer=issuer)
    services = [part for service in SERVICES for part in ("--service", service)]
    command = [str(SERVER), "--config-file", str(folder / "server.yaml"), "--allow-no-auth", "start", *services]
    address = f"127.0.0.1:{chosen['grpc_frontend']}"
    connect = _administrator(address, authority, mutual=mutual, issuer=issuer)
    async with a_server(Launch(command, child_environment()), folder, lambda: _answers(connect)):
        server = SecuredTemporal(address, await connect())
        await server.add_namespace("default")
        await add_search_attributes(server.admin)
        yield server


def _administrator(
    address: str, authority: Authority, *, mutual: bool, issuer: Issuer | None
) -> Callable[[], Awaitable[Client]]:
    """What connects somebody who may do everything."""
    ours = authority.issue("administrator") if mutual else None
    tls = TLSConfig(
        server_root_ca_cert=authority.certificate.read_bytes(),
        client_cert=ours.certificate.read_bytes() if ours else None,
        client_private_key=ours.key.read_bytes() if ours else None,
    )
    token = issuer.token("administrator", "temporal-system:admin") if issuer else ""
    return lambda: Client.connect(address, tls=tls, rpc_metadata={"authorization": f"Bearer {token}"})


async def _answers(connect: Callable[[], Awaitable[Client]]) -> bool:
    try:
        await connect()
    except RuntimeError:
        return False
    return True


def _configure(
    folder: Path, authority: Authority, chosen: dict[str, int], *, mutual: bool, issuer: Issuer | None
) -> None:
    server = authority.issue_for_loopback("temporal")
    tls: dict[str, Any] = {"certFile": str(server.certificate), "keyFile": str(server.key)}
    if mutual:
        tls |= {"requireClientAuth": True, "clientCaFiles": [str(authority.certificate)]}
    keys = {"keySourceURIs": [f"file://{issuer.key_set}"]} if issuer else {}
    checked = {"authorizer": "default", "claimMapper": "default", "jwtKeyProvider": keys} if issuer else {}
    frontend = f"127.0.0.1:{chosen['grpc_frontend']}"
    config = {
        "log": {"stdout": True, "level": "error"},
        "persistence": {
            "defaultStore": "store", "visibilityStore": "visibility", "numHistoryShards": 1,
            "datastores": {name: _in_memory(name) for name in ("store", "visibility")},
        },
        "global": {
            "membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"},
            "authorization": checked,
            "tls": {
                "frontend": {
                    "server": tls, "client": {"serverName": "tocsin.test", "rootCaFiles": [str(authority.certificate)]}
                },
            },
        },
        "services": {
            name: {
                "rpc": {
                    "grpcPort": chosen[f"grpc_{name}"], "membershipPort": chosen[f"membership_{name}"],
                    "bindOnLocalHost": True,
                }
            }
            for name in SERVICES
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False, "failoverVersionIncrement": 10, "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True, "initialFailoverVersion": 1, "rpcName": "frontend", "rpcAddress": frontend
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "dynamicConfigClient": {"filepath": str(folder / "dynamic.yaml"), "pollInterval": "10s"},
    }  # fmt: skip
    (folder / "server.yaml").write_text(yaml.safe_dump(config))
    (folder / "dynamic.yaml").write_text(yaml.safe_dump(PROMPT))


def _in_memory(name: str) -> dict[str, Any]:
    return {
        "sql": {
            "pluginName": "sqlite", "databaseName": name, "connectAddr": "localhost", "connectProtocol": "tcp",
            "connectAttributes": {"mode": "memory", "cache": "private"}, "maxConns": 1, "maxIdleConns": 1,
            "maxConnLifetime": "1h",
        }
    }  # fmt: skip
