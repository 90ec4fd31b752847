"""The local stack: start what is missing, wait until it serves, end it again.

Detached (`tocsin up`) the servers stay, known by `stack.json` in the state folder. Guarded (tests, demo) they end with
the process that started them, however that ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from orchestrator.errors import StackError
from orchestrator.local import ports
from orchestrator.local.endpoints import (
    Endpoints,
    StackState,
    current_endpoints,
    own_addresses,
    read_state,
    write_state,
)
from orchestrator.local.kafka import KafkaPart
from orchestrator.local.part import Launch, Part
from orchestrator.local.postgres import PostgresPart
from orchestrator.local.processes import Started, end, end_of, start_detached, start_guarded
from orchestrator.local.temporal import TemporalPart
from orchestrator.settings import Settings

Progress = Callable[[str, str], None]
"""Called with a part and what it is doing: `preparing`, `starting`, `ready after 1.2 s`."""

SERVES = {"kafka": "kafka", "temporal": "temporal", "postgres": "database"}
ATTEMPTS = 3


def all_parts() -> list[Part]:
    """Every part, in no order: they start at the same time."""
    return [KafkaPart(), TemporalPart(), PostgresPart()]


def missing_parts(settings: Settings) -> list[Part]:
    """The parts for which the settings name no server of the user's own."""
    own = own_addresses(settings)
    return [part for part in all_parts() if SERVES[part.name] not in own]


async def up(settings: Settings, on_progress: Progress = lambda part, what: None) -> Endpoints:
    """Start what is missing and leave it running. Raises `StackError`; nothing half-started stays."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.home):
        state = read_state(settings.home)
        dead = [part for part in missing_parts(settings) if not _alive(state, part)]
        if settings.local.ephemeral and len(dead) == len(all_parts()):
            for part in dead:
                shutil.rmtree(settings.home / part.name, ignore_errors=True)
        starter = _Starter(settings, state, on_progress)
        try:
            await starter.start(dead)
        except BaseException:
            await starter.undo()
            raise
        write_state(settings.home, starter.state)
    return current_endpoints(settings)


async def down(settings: Settings) -> list[str]:
    """End what `up` left running; the names of the parts that were ended. Data stay, unless `ephemeral`."""
    if not settings.home.exists():
        return []
    with _only_one(settings.home):
        state = read_state(settings.home)
        running = [name for name, started in state.parts.items() if started.process()]
        await asyncio.gather(*(end(state.parts[name]) for name in running))
        write_state(settings.home, StackState(ports=state.ports))
        if settings.local.ephemeral:
            for part in all_parts():
                shutil.rmtree(settings.home / part.name, ignore_errors=True)
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
    starter = _Starter(here, StackState(), on_progress, guarded=True)
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

    def __init__(self, settings: Settings, state: StackState, on_progress: Progress, *, guarded: bool = False) -> None:
        self.state = state.model_copy(deep=True)
        self._settings = settings
        self._say = on_progress
        self._guarded = guarded
        self._mine: list[Started] = []
        self._guards: list[subprocess.Popen[bytes]] = []

    async def start(self, parts: list[Part]) -> None:
        """All of them, or `StackError` with every reason."""
        results = await asyncio.gather(*(self._one(part) for part in parts), return_exceptions=True)
        reasons = [result for result in results if isinstance(result, BaseException)]
        if not reasons:
            return
        if all(isinstance(reason, StackError) for reason in reasons):
            raise StackError("\n\n".join(str(reason) for reason in reasons))
        raise reasons[0]

    async def undo(self) -> None:
        """End what was started here."""
        await asyncio.gather(*(end(started) for started in self._mine))
        for guard in self._guards:
            if guard.stdin:
                guard.stdin.close()
            guard.wait()

    async def _one(self, part: Part) -> None:
        folder = (self._settings.home / part.name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        for attempt in range(1, ATTEMPTS + 1):
            chosen = self._ports(part)
            self._say(part.name, "preparing")
            launch = await part.prepare(folder, chosen)
            self._say(part.name, "starting")
            log = folder / "log"
            log.unlink(missing_ok=True)
            started = self._launch(launch, log)
            if await self._healthy(part, folder, chosen, started, began):
                break
            # a port that was free a moment ago may be somebody else's now
            if attempt == ATTEMPTS or "in use" not in end_of(log, 60).lower():
                raise StackError(f"{part.name} did not come up: it ended. The end of its log:\n{end_of(log)}")
        self.state.parts[part.name] = started
        self.state.ports.update(chosen)
        self.state.addresses.update(part.address(folder, chosen))
        self._say(part.name, f"ready after {time.monotonic() - began:.1f} s")

    def _ports(self, part: Part) -> dict[str, int]:
        wanted = ports.usual(self._settings.local)
        return ports.choose(part.ports, wanted, self.state.ports, any_port=self._guarded)

    def _launch(self, launch: Launch, log: Path) -> Started:
        if self._guarded:
            started, guard = start_guarded(launch, log)
            self._guards.append(guard)
        else:
            started = start_detached(launch, log)
        self._mine.append(started)
        return started

    async def _healthy(self, part: Part, folder: Path, chosen: dict[str, int], started: Started, began: float) -> bool:
        """True when it serves, False when its process ended; raises `StackError` when time is up."""
        while not await part.healthy(folder, chosen):
            if started.process() is None:
                return False
            if time.monotonic() - began > self._settings.local.start_timeout:
                raise StackError(
                    f"{part.name} did not come up within {self._settings.local.start_timeout:g} s. "
                    f"The end of its log:\n{end_of(folder / 'log')}"
                )
            await asyncio.sleep(0.05)
        return started.process() is not None


def _alive(state: StackState, part: Part) -> bool:
    return part.name in state.parts and state.parts[part.name].process() is not None


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Keep two `up` or `down` of one state folder apart."""
    with (home / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another `tocsin up` or `down` is at work in {home}; wait for it to end") from None
        yield
