"""`tocsin serve`, `intake`, `worker` and `keeper`: the processes that do the work."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from orchestrator.audit.greeting import greet
from orchestrator.bootstrap import Tocsin, connected
from orchestrator.cli.console import complain
from orchestrator.errors import Refused, TocsinError, Unavailable
from orchestrator.local.endpoints import Endpoints, current_endpoints
from orchestrator.logs import set_up_logs
from orchestrator.matching.choose import PlaybooksInForce
from orchestrator.settings import Settings, load_settings

log = structlog.get_logger()
ROLES = ("intake", "worker", "keeper")


def serve() -> NoReturn:
    """Do everything in one process: read alerts, run playbooks, keep the audit flowing.

    The default on one machine, and the quickest: runs start in the process that read their alert. Ends on Ctrl-C or
    SIGTERM after finishing what is under way.
    """
    run_roles(ROLES)


def intake() -> NoReturn:
    """Read alerts from Kafka and start runs; as many processes as the topic has partitions may do so."""
    run_roles(("intake",))


def worker() -> NoReturn:
    """Execute runs; as many processes as wanted may do so."""
    run_roles(("worker",))


def keeper() -> NoReturn:
    """Publish the audit to Kafka in order; one is active at a time, further ones wait for their turn."""
    run_roles(("keeper",))


def run_roles(roles: Sequence[str]) -> NoReturn:
    """Run until asked to end; the exit code is 0 only then.

    Ends by `os._exit` after flushing: the interpreter's own way out aborts now and then beside the Temporal SDK.
    """
    try:
        code = asyncio.run(_until_told(roles))
    except TocsinError as error:
        complain(str(error))
        code = 2
    except Exception:
        log.exception("process.broke")
        code = 1
    leave(code)


def leave(code: int) -> NoReturn:
    """End the process now, with everything flushed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _until_told(roles: Sequence[str]) -> int:
    settings = load_settings()
    set_up_logs(settings.log)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    endpoints = current_endpoints(settings)
    if {"intake", "keeper"} & set(roles):
        await asyncio.to_thread(greet, settings.kafka, endpoints.kafka)
    async with AsyncExitStack() as stack:
        tocsin = await _as_soon_as_there(stack, settings, endpoints, stop)
        if tocsin is not None:
            await running(tocsin, roles, stop)
    return 0


async def _as_soon_as_there(
    stack: AsyncExitStack, settings: Settings, endpoints: Endpoints, stop: asyncio.Event
) -> Tocsin | None:
    """The clients, when Temporal can be reached: after a power cut we may be up before it. None where told to end."""
    while not stop.is_set():
        try:
            return await stack.enter_async_context(connected(settings, endpoints))
        except Refused:  # waiting mends no setting
            raise
        except Unavailable as error:
            log.warning("process.waiting", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 2.0)
    return None


async def running(tocsin: Tocsin, roles: Sequence[str], stop: asyncio.Event) -> None:
    """The roles until `stop` is set; they end in the order intake, worker, keeper, so that nothing is left behind."""
    makers: dict[str, Callable[[], Awaitable[_Role]]] = {
        "intake": lambda: _intake(tocsin, eager="worker" in roles),
        "worker": lambda: _worker(tocsin),
        "keeper": lambda: _keeper(tocsin),
    }
    parts = [await makers[role]() for role in ROLES if role in roles]
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(part.run()) for part in parts]
    waiting = asyncio.create_task(stop.wait())
    log.info("serving", roles=list(roles), pid=os.getpid())
    done, _ = await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for part, task in zip(parts, tasks, strict=True):
        await part.end()
        await asyncio.wait([task])
    waiting.cancel()
    for task in tasks:
        if task in done:
            task.result()


@dataclass(frozen=True)
class _Role:
    """Something that runs until it is asked to end."""

    run: Callable[[], Coroutine[Any, Any, None]]
    end: Callable[[], Awaitable[None]]


async def _intake(tocsin: Tocsin, *, eager: bool) -> _Role:
    playbooks = PlaybooksInForce([])
    follower = tocsin.follower(playbooks, on_change=tocsin.schedules().follow)
    made = tocsin.intake(playbooks, eager=eager)

    async def run() -> None:
        following = asyncio.create_task(follower.run())
        try:
            if await follower.ready():
                await made.run()
        finally:
            follower.stop()
            await following

    async def end() -> None:
        follower.stop()
        made.stop()

    return _Role(run, end)


async def _worker(tocsin: Tocsin) -> _Role:
    made = tocsin.worker()
    return _Role(made.run, made.shutdown)


async def _keeper(tocsin: Tocsin) -> _Role:
    made = tocsin.keeper()

    async def end() -> None:
        made.stop()

    return _Role(made.run, end)
