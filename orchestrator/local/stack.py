"""The local stack: start what is missing, wait until it serves, end it again.

Servers end with the process that started them, however that ends (tests, demo), until they are released: what `tocsin
up` started stays, known by `stack.json` in the state folder.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from orchestrator.errors import StackError
from orchestrator.local import ports
from orchestrator.local.endpoints import Endpoints, StackState, own_addresses, read_state, write_state
from orchestrator.local.folders import locked
from orchestrator.local.kafka import KafkaPart
from orchestrator.local.part import Launch, Part
from orchestrator.local.postgres import PostgresPart
from orchestrator.local.processes import Guarded, Started, end, end_of, start_guarded
from orchestrator.local.temporal import TemporalPart
from orchestrator.settings import Settings

Progress = Callable[[str, str], None]
"""Called with a part and what it is doing: `preparing`, `starting`, `ready after 1.2 s`."""
Prepare = Callable[[Settings, Endpoints], Awaitable[None]]
"""Makes servers ready for runs."""

SERVES = {"kafka": "kafka", "temporal": "temporal", "postgres": "database"}
ATTEMPTS = 3


def all_parts() -> list[Part]:
    """Every part, in no order: they start at the same time."""
    return [KafkaPart(), TemporalPart(), PostgresPart()]


def missing_parts(settings: Settings) -> list[Part]:
    """The parts for which the settings name no server of the user's own."""
    own = own_addresses(settings)
    return [part for part in all_parts() if SERVES[part.name] not in own]


async def nothing(settings: Settings, endpoints: Endpoints) -> None:
    """Servers as they come."""


async def up(
    settings: Settings, on_progress: Progress = lambda part, what: None, prepare: Prepare = nothing
) -> Endpoints:
    """Start what is missing, make it ready by `prepare`, and leave it running.

    Raises `StackError`. Whatever ends this early, kill -9 included, ends the servers that it has started.
    """
    with locked(settings.home):
        state = _state_to_begin_with(settings)
        starter = _Starter(settings, state, on_progress)
        try:
            await starter.start([part for part in missing_parts(settings) if not _alive(state, part)])
            endpoints = Endpoints(**{**starter.state.addresses, **own_addresses(settings)})
            await prepare(settings, endpoints)
        except BaseException:
            await starter.undo()
            raise
        write_state(settings.home, starter.state)
        starter.release()
    return endpoints


def _state_to_begin_with(settings: Settings) -> StackState:
    """What runs already. With `ephemeral`, and nothing running, the data are thrown away first."""
    state = read_state(settings.home)
    running = [name for name, started in state.parts.items() if started.process()]
    if not running:
        state = StackState(ports=state.ports, ephemeral=settings.local.ephemeral)
        if state.ephemeral:
            _throw_data_away(settings.home)
    elif settings.local.ephemeral and not state.ephemeral:
        raise StackError(f"{', '.join(running)} runs here on data that stay; end it first: tocsin down")
    return state


def _throw_data_away(home: Path) -> None:
    for part in all_parts():
        shutil.rmtree(home / part.name, ignore_errors=True)


async def down(settings: Settings) -> list[str]:
    """End what `up` left running; the names of the parts that were ended. Data stay, unless `ephemeral` then or now."""
    if not settings.home.exists():
        return []
    with locked(settings.home):
        state = read_state(settings.home)
        running = [name for name, started in state.parts.items() if started.process()]
        await asyncio.gather(*(end(state.parts[name]) for name in running))
        write_state(settings.home, StackState(ports=state.ports))
        if settings.local.ephemeral or state.ephemeral:
            _throw_data_away(settings.home)
    return running


@asynccontextmanager
async def running_stack(
    settings: Settings, *, folder: Path | None = None, on_progress: Progress = lambda part, what: None
) -> AsyncIterator[Endpoints]:
    """The stack for as long as the block runs, on free ports, its data in `folder` or gone at the end.

    With a folder, other commands find the stack there (`TOCSIN_HOME`).
    """
    scratch = Path(tempfile.mkdtemp(prefix="tocsin-")) if folder is None else folder
    here = settings.model_copy(update={"home": scratch})
    starter = _Starter(here, StackState(), on_progress, any_port=True)
    try:
        await starter.start(missing_parts(settings))
        write_state(scratch, starter.state)
        yield Endpoints(**{**starter.state.addresses, **own_addresses(settings)})
    finally:
        await starter.undo()
        write_state(scratch, StackState())
        if folder is None:
            shutil.rmtree(scratch, ignore_errors=True)


class _Starter:
    """Starts parts at the same time and knows what it started."""

    def __init__(self, settings: Settings, state: StackState, on_progress: Progress, *, any_port: bool = False) -> None:
        self.state = state.model_copy(deep=True)
        self._settings = settings
        self._say = on_progress
        self._any_port = any_port
        self._mine: list[Guarded] = []

    async def start(self, parts: list[Part]) -> None:
        """All of them, or `StackError` with every reason."""
        results = await asyncio.gather(*(self._one(part) for part in parts), return_exceptions=True)
        reasons = [result for result in results if isinstance(result, BaseException)]
        if not reasons:
            return
        if all(isinstance(reason, StackError) for reason in reasons):
            raise StackError("\n\n".join(str(reason) for reason in reasons))
        raise reasons[0]

    def release(self) -> None:
        """Let what was started here stay when we are gone."""
        for guarded in self._mine:
            guarded.release()

    async def undo(self) -> None:
        """End what was started here."""
        await asyncio.gather(*(guarded.end() for guarded in self._mine))

    async def _one(self, part: Part) -> None:
        folder = (self._settings.home / part.name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(1, ATTEMPTS + 1):
            chosen = ports.choose(
                part.ports, ports.usual(self._settings.local), self.state.ports, any_port=self._any_port
            )
            self._say(part.name, "preparing")
            launch = await part.prepare(folder, chosen)
            self._say(part.name, "starting")
            began = time.monotonic()
            started = self._launch(launch, folder)
            if await self._serves(part, folder, chosen, started):
                break
            # a port that was free a moment ago may be somebody else's now
            if attempt == ATTEMPTS or all(map(ports.is_free, chosen.values())):
                raise StackError(
                    f"{part.name} did not come up: it ended. The end of its log:\n{end_of(folder / 'log')}"
                )
        self.state.parts[part.name] = started
        self.state.ports.update(chosen)
        self.state.addresses.update(part.address(folder, chosen))
        self._say(part.name, f"ready after {time.monotonic() - began:.1f} s")

    def _launch(self, launch: Launch, folder: Path) -> Started:
        guarded = start_guarded(launch, folder)
        self._mine.append(guarded)
        return guarded.server

    async def _serves(self, part: Part, folder: Path, chosen: dict[str, int], started: Started) -> bool:
        """True when it serves, False when its process ended; raises `StackError` when time is up."""
        deadline = time.monotonic() + self._settings.local.start_timeout
        # two stacks that start at once may choose one port: then the other one's server answers there
        # one that finds a port of its own taken answers on the others for a moment, and ends
        while not (all(map(started.listens_on, chosen.values())) and await part.healthy(folder, chosen)):
            if started.process() is None:
                return False
            if time.monotonic() > deadline:
                raise StackError(
                    f"{part.name} did not come up within {self._settings.local.start_timeout:g} s. "
                    f"The end of its log:\n{end_of(folder / 'log')}"
                )
            await asyncio.sleep(0.05)
        return True


def _alive(state: StackState, part: Part) -> bool:
    return part.name in state.parts and state.parts[part.name].process() is not None
