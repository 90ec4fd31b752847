"""The connection to Temporal."""

from __future__ import annotations

import asyncio
import logging
import re
from functools import cache
from pathlib import Path

import structlog
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import LogForwardingConfig, LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.service import RPCError, RPCStatusCode, TLSConfig

from orchestrator.errors import SettingsError, Unavailable
from orchestrator.settings import TemporalSettings

log = structlog.get_logger()
UNWELCOME = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED)

# what the client says, and what that means; the first that fits counts
FAULTS = (
    ("NotValidForName", "temporal.address: the server's certificate is for other names"),
    ("InvalidCertificate(Expired", "temporal.address: the server's certificate has expired"),
    ("InvalidCertificate", "temporal.ca_file: it does not vouch for the server's certificate"),
    ("InvalidContentType", "temporal.tls and temporal.ca_file: the server speaks without TLS there"),
    ("CertificateRequired", "temporal.certificate_file: the server wants one of ours"),
    ("UnknownCA", "temporal.certificate_file: the server does not know who issued it"),
    ("CertificateExpired", "temporal.certificate_file: it has expired"),
    ("fatal alert", "temporal.certificate_file: the server does not take it"),
    ("InconsistentKeys", "temporal.key_file: it is not the key of temporal.certificate_file"),
    ("NoCertificatesPresented", "temporal.certificate_file: it holds no certificate"),
    ("PrivateKeyParseError", "temporal.key_file: it holds no key without a passphrase"),
    ("Invalid ASCII header", "temporal.token and temporal.token_file: a token is one line of plain text"),
)
NOBODY = "tocsin/is anybody there"
"""the id of a workflow that never was"""


async def connect(settings: TemporalSettings, address: str, *, identity: str | None = None) -> Client:
    """A client that is connected and may write in the namespace.

    Raises `SettingsError` with the setting's name where Temporal refuses us, `Unavailable` where nobody answers.
    """
    token = _token(settings)
    try:
        client = await Client.connect(
            address,
            namespace=settings.namespace,
            identity=identity,
            tls=_tls(settings),
            rpc_metadata={"authorization": f"Bearer {token}"} if token else {},
            data_converter=pydantic_data_converter,
            runtime=_runtime(),
        )
        await _enter(client)
    except (RPCError, RuntimeError) as error:
        raise _refusal(error, settings, address) from error
    return client


async def keep_token_fresh(client: Client, settings: TemporalSettings, *, every: float = 15.0) -> None:
    """Read the token's file again every so many seconds, for as long as the client lives; returns where there is none.

    A file that cannot be read just now, or is empty because somebody is writing it, leaves the token as it is. A token
    that Temporal does not take any more is told in the log: calls fail meanwhile, and are made again with a good one.
    """
    while settings.token_file:
        await asyncio.sleep(every)
        try:
            client.rpc_metadata = {"authorization": f"Bearer {_token(settings)}"}
            await _enter(client)
        except SettingsError as error:
            log.warning("temporal.token_unreadable", error=str(error))
        except RPCError as error:
            if error.status in UNWELCOME:
                log.warning("temporal.token_refused", setting=f"temporal.token_file {settings.token_file}")


async def _enter(client: Client) -> None:
    """Raise what the server raises where the namespace is not there, or is not ours to write in."""
    await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    try:  # without that right a worker would ask for tasks for ever, and be told of none
        await client.get_workflow_handle(NOBODY).signal("hello")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _refusal(error: RPCError | RuntimeError, settings: TemporalSettings, address: str) -> SettingsError | Unavailable:
    """What a failed connection means: something of ours that is wrong, or a server that is away."""
    said, status = str(error), error.status if isinstance(error, RPCError) else None
    if status is RPCStatusCode.NOT_FOUND:
        return SettingsError(f"temporal.namespace: Temporal at {address} has no namespace {settings.namespace}")
    if status in UNWELCOME or "PermissionDenied" in said or "Unauthenticated" in said:
        fault: str | None = "temporal.token and temporal.token_file: the server " + (
            f"does not take the token, or it may not write in the namespace {settings.namespace}"
            if _token(settings)
            else "lets nobody in without one"
        )
    else:
        fault = next((what for words, what in FAULTS if words in said), None)
    if fault:
        return SettingsError(f"Temporal at {address} refuses us; {fault}")
    why = ", ".join(dict.fromkeys(re.findall(r'"([^"]+)"', said))) or said
    return Unavailable(f"Temporal at {address} cannot be reached: {why}{_hint(said, settings)}")


def _hint(said: str, settings: TemporalSettings) -> str:
    """What may be missing where the server closes the connection and gives no reason."""
    if "transport error" not in said and "operation was canceled" not in said:
        return ""
    if not _tls(settings):
        return "; if it wants TLS, set temporal.tls or temporal.ca_file"
    return f"; it may want {'another' if settings.certificate_file else 'a'} certificate: temporal.certificate_file"


def _token(settings: TemporalSettings) -> str | None:
    if not settings.token_file:
        return settings.token.get_secret_value() if settings.token else None
    try:
        token = settings.token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"temporal.token_file {settings.token_file}: cannot be read ({error})") from None
    if not token:
        raise SettingsError(f"temporal.token_file {settings.token_file}: it is empty")
    return token


def _tls(settings: TemporalSettings) -> TLSConfig | bool:
    if not (settings.ca_file or settings.certificate_file):
        return settings.tls
    return TLSConfig(
        server_root_ca_cert=_bytes("ca_file", settings.ca_file),
        client_cert=_bytes("certificate_file", settings.certificate_file),
        client_private_key=_bytes("key_file", settings.key_file),
    )


def _bytes(name: str, file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise SettingsError(f"temporal.{name} {file}: {error.strerror}") from None


@cache
def _runtime() -> Runtime:
    """The process's one runtime, whose own words come as lines of our log."""
    logger = logging.getLogger("temporalio.core")
    logger.addHandler(logging.NullHandler())  # a command sets up no log, and then they are not shown
    told = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=LogForwardingConfig(logger=logger)
    )
    return Runtime(telemetry=TelemetryConfig(logging=told))
