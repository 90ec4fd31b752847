"""The connection to Temporal."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig

from orchestrator.errors import SettingsError, Unavailable
from orchestrator.settings import TemporalSettings


async def connect(settings: TemporalSettings, address: str) -> Client:
    """A client that is connected; raises `Unavailable` where nobody answers there."""
    token = _token(settings)
    try:
        return await Client.connect(
            address,
            namespace=settings.namespace,
            tls=_tls(settings),
            rpc_metadata={"authorization": f"Bearer {token}"} if token else {},
            data_converter=pydantic_data_converter,
        )
    except (RPCError, RuntimeError) as error:
        raise Unavailable(f"Temporal at {address} cannot be reached: {error}") from error


def refresh_token(client: Client, settings: TemporalSettings) -> None:
    """Take a token that changed in its file; call it now and then on a client that lives long."""
    token = _token(settings)
    if token:
        client.rpc_metadata = {"authorization": f"Bearer {token}"}


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
    read = {
        "server_root_ca_cert": settings.ca_file,
        "client_cert": settings.certificate_file,
        "client_private_key": settings.key_file,
    }
    try:
        return TLSConfig(**{name: path.read_bytes() for name, path in read.items() if path})
    except OSError as error:
        raise SettingsError(f"temporal: {error.filename}: {error.strerror}") from None
