"""`tocsin up`, `status` and `down`: the local servers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Sequence
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError

from orchestrator.actions.breakers import Standing, open_breakers
from orchestrator.actions.kill_switch import Switch, switches
from orchestrator.actions.maintenance import Waiting, waiting
from orchestrator.audit.database import greet as greet_postgres
from orchestrator.audit.database import make_engine
from orchestrator.audit.greeting import greet as greet_kafka
from orchestrator.cli.breakers import say_open, say_waiting
from orchestrator.cli.console import as_json, complain, err, say, table
from orchestrator.cli.kill import say_thrown
from orchestrator.cli.versions import say_broken
from orchestrator.errors import SettingsError, Unavailable
from orchestrator.local.endpoints import own_addresses, read_state
from orchestrator.local.part import Part
from orchestrator.local.prepare import prepare
from orchestrator.local.stack import SERVES, all_parts
from orchestrator.local.stack import down as end_stack
from orchestrator.local.stack import up as start_stack
from orchestrator.policy.modes import Asked
from orchestrator.policy.policy import DEFAULT, read_policy
from orchestrator.policy.store import InForce, PolicyStore
from orchestrator.settings import Settings, load_settings
from orchestrator.versions.history import ListedPlaybook, listed
from orchestrator.workflow.client import connect

T = TypeVar("T")
PATIENCE = 5.0
"""seconds in which a server says that it is there"""


async def up(*, ephemeral: bool = False) -> None:
    """Start what is missing of Kafka, Temporal and Postgres on this machine, and make topics, schema and attributes.

    What the settings name as your own (kafka.bootstrap, temporal.address, database.url) is used and not started. The
    servers listen on loopback only and stay until `tocsin down`; their data stay as well.

    Parameters
    ----------
    ephemeral
        Begin with empty data, and throw them away at the next `down`.
    """
    settings = _settings(ephemeral=ephemeral)
    endpoints = await start_stack(settings, show_progress, prepare)
    say(f"Kafka     {endpoints.kafka}")
    say(f"Temporal  {endpoints.temporal}" + (f"   UI {endpoints.temporal_ui}" if endpoints.temporal_ui else ""))
    say("Postgres  ready")
    say("Next: `tocsin serve`; `tocsin down` ends the servers.", "dim")


async def status(*, json: bool = False) -> None:
    """Say which servers run, where, and how much memory they take; exit code 1 where one does not answer.

    Servers of your own are asked whether they take Tocsin as the settings say. Says too which playbooks are broken;
    that leaves the exit code alone, since their last good versions serve. Kill switches that are thrown come first,
    then integrations that are left alone or worked on, then whether the policy is broken or puts the whole site into
    shadow.

    Parameters
    ----------
    json
        One line of JSON instead of a table.
    """
    settings = load_settings()
    found = await rows(settings)
    playbooks, thrown, alone, policy, queued = await _recorded(settings)
    if json:
        as_json(
            [
                *found,
                _row_of(playbooks),
                _row_of_switches(thrown),
                _row_of_breakers(alone, queued),
                _row_of_policy(policy),
            ]
        )
    else:
        say_thrown(thrown or ())
        say_open(alone or ())
        say_waiting(queued or ())
        _say_policy(policy)
        table(
            ("part", "state", "address", "pid", "memory"),
            (
                (r["part"], r["state"], r["address"], r["pid"], f"{r['memory'] // 2**20} MiB" if r["memory"] else "")
                for r in found
            ),
        )
        for row in found:
            if row["why"]:
                complain(row["why"])
        for one in playbooks or ():
            say_broken(one)
    if any(row["state"] not in ("up", "yours") for row in found):
        sys.exit(1)


async def down(*, ephemeral: bool = False, json: bool = False) -> None:
    """End the servers that `tocsin up` started. Data stay for the next `up`.

    Parameters
    ----------
    ephemeral
        Throw the data away.
    json
        One line of JSON instead of text: the names of those that were ended.
    """
    ended = await end_stack(_settings(ephemeral=ephemeral))
    if json:
        as_json(ended)
    else:
        say(f"ended: {', '.join(ended)}" if ended else "nothing was running")


def show_progress(part: str, what: str) -> None:
    """One line on stderr for each thing that happens to a part."""
    err.print(f"  {part:<9} {what}", style="dim" if not what.startswith("ready") else "green")


def _settings(*, ephemeral: bool) -> Settings:
    settings = load_settings()
    if not ephemeral:
        return settings
    return settings.model_copy(update={"local": settings.local.model_copy(update={"ephemeral": True})})


async def rows(settings: Settings) -> list[dict[str, Any]]:
    """A row for each server, as `tocsin status --json` gives them."""
    return await asyncio.gather(*(_row(settings, part) for part in all_parts()))


async def _row(settings: Settings, part: Part) -> dict[str, Any]:
    row: dict[str, Any] = {"part": part.name, "state": "down", "address": None, "pid": None, "memory": 0, "why": ""}
    own = own_addresses(settings).get(SERVES[part.name])
    if own is not None:
        return row | {"address": "(from the settings)"} | await _asked(part.name, settings, own)
    state = read_state(settings.home)
    started = state.parts.get(part.name)
    if started is None or started.process() is None:
        return row
    healthy = await _in_time(part.healthy(settings.home / part.name, state.ports))
    address = f"127.0.0.1:{state.ports[part.ports[0]]}"
    return row | {
        "state": "up" if healthy else "sick", "address": address, "pid": started.pid, "memory": started.memory(),
    }  # fmt: skip


async def _in_time(answer: Awaitable[bool]) -> bool:
    """The answer, if it comes in time: a server that hangs may never say anything."""
    try:
        return await asyncio.wait_for(answer, PATIENCE)
    except TimeoutError:
        return False


async def _asked(part: str, settings: Settings, address: str) -> dict[str, str]:
    """Whether a server of the user's own takes us, and why not."""
    try:
        answers = await _in_time(_greeted(part, settings, address))
    except SettingsError as error:
        return {"state": "refuses", "why": str(error)}
    except Unavailable as error:
        return {"state": "away", "why": str(error)}
    return {"state": "yours"} if answers else {"state": "away", "why": f"{part} does not answer"}


async def _greeted(part: str, settings: Settings, address: str) -> bool:
    match part:
        case "temporal":
            await connect(settings.temporal, address)
            return True
        case "kafka":
            return await asyncio.to_thread(greet_kafka, settings.kafka, address)
        case _:
            engine = make_engine(address)
            try:
                return await greet_postgres(engine)
            finally:
                await engine.dispose()


async def _recorded(
    settings: Settings,
) -> tuple[
    Sequence[ListedPlaybook] | None, Sequence[Switch] | None, Sequence[Standing] | None, PolicyState | None,
    Sequence[Waiting] | None,
]:  # fmt: skip
    """What is in force and what is broken, what is halted or left alone; None where the database cannot say."""
    address = own_addresses(settings).get("database") or read_state(settings.home).addresses.get("database")
    if address is None:
        return None, None, None, None, None
    engine = make_engine(address)
    try:
        policy = await _or_none(_policy(PolicyStore(engine)))
        alone = await _or_none(open_breakers(engine))
        queued = await _or_none(waiting(engine))
        return await _or_none(listed(engine)), await _or_none(switches(engine)), alone, policy, queued
    finally:
        await engine.dispose()


async def _or_none(answer: Awaitable[T]) -> T | None:
    """What the database says; None where it is away, or its schema is that of an older release."""
    try:
        return await answer
    except (Unavailable, SettingsError, DBAPIError):
        return None


class PolicyState(NamedTuple):
    """The policy in force, none where there is none, and what is wrong with its file."""

    in_force: InForce | None
    broken: Sequence[dict[str, Any]]

    @property
    def shadow(self) -> str:
        """The line that puts the whole site into shadow; empty where none does."""
        policy = read_policy(self.in_force.content, self.in_force.file).policy if self.in_force else None
        return (policy or DEFAULT).mode(Asked()).why


async def _policy(store: PolicyStore) -> PolicyState:
    return PolicyState(await store.now(), await store.broken())


def _say_policy(policy: PolicyState | None) -> None:
    """What there is to say of it at a glance."""
    for one in policy.broken if policy else ():
        say(f"POLICY BROKEN: {one['file']}:{one['line']}: {one['message']}; what was in force stays so", "red bold")
    if policy and policy.shadow:
        say(f"SHADOW: nothing is sent, by {policy.shadow}", "yellow bold")


def _row_of_policy(policy: PolicyState | None) -> dict[str, Any]:
    """The policy as one more part."""
    row: dict[str, Any] = {"part": "policy", "address": None, "pid": None, "memory": 0, "why": ""}
    if policy is None:
        return row | {"state": "unknown"}
    state = "broken" if policy.broken else "good" if policy.in_force else "default"
    return row | {
        "state": state,
        "digest": policy.in_force.digest if policy.in_force else None,
        "shadow": policy.shadow,
    }


def _row_of_switches(thrown: Sequence[Switch] | None) -> dict[str, Any]:
    """The kill switches as one more part."""
    row: dict[str, Any] = {"part": "kill_switch", "address": None, "pid": None, "memory": 0, "why": ""}
    state = "unknown" if thrown is None else "thrown" if thrown else "clear"
    return row | {"state": state, "thrown": [one.model_dump(mode="json") for one in thrown or ()]}


def _row_of_breakers(alone: Sequence[Standing] | None, queued: Sequence[Waiting] | None) -> dict[str, Any]:
    """The breakers as one more part, and what waits for maintenance."""
    row: dict[str, Any] = {"part": "breakers", "address": None, "pid": None, "memory": 0, "why": ""}
    state = "unknown" if alone is None else "open" if alone else "closed"
    return row | {"state": state, "open": [one.model_dump(mode="json") for one in alone or ()],
                  "waiting": [one.model_dump(mode="json") for one in queued or ()]}  # fmt: skip


def _row_of(playbooks: Sequence[ListedPlaybook] | None) -> dict[str, Any]:
    """The playbooks as one more part."""
    row: dict[str, Any] = {
        "part": "playbooks",
        "state": "unknown",
        "address": None,
        "pid": None,
        "memory": 0,
        "why": "",
    }
    if playbooks is None:
        return row
    broken = [one.name for one in playbooks if one.state == "broken"]
    in_force = sum(one.serves for one in playbooks)
    return row | {"state": "broken" if broken else "good", "in_force": in_force, "broken": broken}
