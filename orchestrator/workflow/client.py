"""The connection to Temporal."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig

from orchestrator.errors import SettingsError, Unavailable
from orchestrator.settings import TemporalSettings


async def connect(settings: TemporalSettings, address: str, *, identity: str | None = None) -> Client:
    """A client that is connected; raises `Unavailable` where nobody answers there."""
    token = _token(settings)
    try:
        return await Client.connect(
            address,
            namespace=settings.namespace,
            identity=identity,
            tls=_tls(settings),
            rpc_metadata={"authorization": f"Bearer {token}"} if token else {},
            data_converter=pydantic_data_converter,
        )
    except (RPCError, RuntimeError) as error:
        raise Unavailable(f"Temporal at {address} cannot be reached: {error}") from error


async def keep_token_fresh(client: Client, settings: TemporalSettings, *, every: float = 15.0) -> None:
    """Read the token's file again every so many seconds, for as long as the client lives; returns where there is none.

    A file that cannot be read just now leaves the token as it is.
    """
    while settings.token_file:
        await asyncio.sleep(every)
        with contextlib.suppress(SettingsError):
            client.rpc_metadata = {"authorization": f"Bearer {_token(settings)}"}


def _token(settings: TemporalSettings) -> str | None:
    if settings.token_file:
        try:
            return settings.token_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"temporal.token_file {settings.token_file}: {error.strerror}") from None
    return settings.token.get_secret_value() if settings.token else None


def _tls(settings: TemporalSettings) -> TLSConfig | bool:
    if not (settings.ca_file or settings.certificate_file):
        return settings.tls
    return TLSConfig(
        server_root_ca_cert=_bytes(settings.ca_file),
        client_cert=_bytes(settings.certificate_file),
        client_private_key=_bytes(settings.key_file),
    )


def _bytes(file: Path | None) -> bytes | None:
    try:
        return file.read_bytes() if file else None
    except OSError as error:
        raise SettingsError(f"temporal: {file}: {error.strerror}") from None
