"""Where Kafka, Temporal and Postgres are: the user's own, or those of the local stack."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.errors import StackError
from orchestrator.local.processes import Started
from orchestrator.settings import Settings

STATE = "stack.json"


class Endpoints(BaseModel):
    """Addresses of the three servers. `database` holds a password."""

    model_config = ConfigDict(frozen=True)

    kafka: str
    temporal: str
    temporal_ui: str | None = None
    database: str = Field(repr=False)


class StackState(BaseModel):
    """What `tocsin up` left running: written after the parts serve, read by every other command.

    `ephemeral` says that the data go when they end.
    """

    parts: dict[str, Started] = {}
    ports: dict[str, int] = {}
    addresses: dict[str, str] = Field({}, repr=False)
    ephemeral: bool = False


def read_state(home: Path) -> StackState:
    """The state as last written; empty where nothing was started from this folder. Raises `StackError` on a wreck."""
    file = home / STATE
    if not file.exists():
        return StackState()
    try:
        return StackState.model_validate_json(file.read_bytes())
    except ValidationError:
        raise StackError(
            f"{file} does not say any more which servers run here; end those that do by hand, remove the file, and "
            "start again: tocsin up"
        ) from None


def write_state(home: Path, state: StackState) -> None:
    """Keep the state, readable by this user only: it holds the database's password."""
    fresh = home / (STATE + ".new")
    fresh.touch(mode=0o600)
    with fresh.open("w") as file:
        file.write(state.model_dump_json(indent=1))
        file.flush()
        os.fsync(file.fileno())  # after a power cut the old state or the new one, and never an empty file
    fresh.replace(home / STATE)


def own_addresses(settings: Settings) -> dict[str, str]:
    """The addresses that the settings name themselves."""
    own = {
        "kafka": settings.kafka.bootstrap,
        "temporal": settings.temporal.address,
        "temporal_ui": settings.temporal.ui,
        "database": settings.database.url.get_secret_value() if settings.database.url else None,
    }
    return {name: address for name, address in own.items() if address}


def current_endpoints(settings: Settings) -> Endpoints:
    """The servers to talk to; raises `StackError` where some are neither set nor running."""
    addresses = {**_running(settings.home), **own_addresses(settings)}
    missing = [name for name in ("kafka", "temporal", "database") if name not in addresses]
    if missing:
        raise StackError(
            f"not running here: {', '.join(missing)}; start the local stack with `tocsin up`, or set "
            "kafka.bootstrap, temporal.address and database.url"
        )
    return Endpoints(**addresses)


def _running(home: Path) -> dict[str, str]:
    state = read_state(home)
    part_of = {"kafka": "kafka", "temporal": "temporal", "temporal_ui": "temporal", "database": "postgres"}
    alive = {name for name, started in state.parts.items() if started.process()}
    return {name: address for name, address in state.addresses.items() if part_of.get(name) in alive}
