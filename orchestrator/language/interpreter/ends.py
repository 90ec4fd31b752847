"""How steps and runs end before their time, as exceptions between the steps of one run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

from orchestrator.errors import FailureKind
from orchestrator.language.host import StepError

T = TypeVar("T")


class StepFailed(Exception):
    """A step failed. `output` is what it gives all the same; `final` says that its `on_error` has had its turn."""

    def __init__(self, step: str, error: StepError, output: Any = None, *, final: bool = False) -> None:
        self.step = step
        self.error = error
        self.output = output
        self.final = final
        super().__init__(step, error)


class RunStopped(Exception):
    """A `stop` ends the run: no `on_error` goes past this."""

    def __init__(self, step: str, *, success: bool, message: str) -> None:
        self.step = step
        self.success = success
        self.message = message
        super().__init__(step, success, message)


def invalid(step: str, message: str) -> StepFailed:
    """A step that cannot be carried out as it stands; nothing was sent."""
    return StepFailed(step, StepError(kind=FailureKind.INVALID, message=message))


async def settled(work: Awaitable[T]) -> T:
    """The result of work that is never cut short; who was cancelled meanwhile is so at its next step."""
    task = asyncio.ensure_future(work)
    me = asyncio.current_task()
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            cancelled = True
    if cancelled and me is not None:
        me.cancel()
    return task.result()


def leave_if_cancelled() -> None:
    """Raise what `settled` held back."""
    me = asyncio.current_task()
    if me is not None and me.cancelling():
        raise asyncio.CancelledError


async def all_of(works: list[Awaitable[None]], *, fail_fast: bool = False) -> list[BaseException | None]:
    """Run them side by side to their ends; how each ended, in their order.

    A `stop` in one, or with `fail_fast` a failure, cancels the others; so does a cancellation of all, which is raised
    when every one of them has settled.
    """
    return await Crew(works).ends(fail_fast=fail_fast)


class Crew:
    """Works side by side, to which others may come while they run."""

    def __init__(self, works: list[Awaitable[None]]) -> None:
        self._tasks = [asyncio.ensure_future(work) for work in works]
        self._more: asyncio.Future[None] | None = None
        self._over = False

    def join(self, work: Coroutine[Any, Any, None]) -> None:
        """One more; none any more where all are to end."""
        if self._over:
            work.close()
            return
        self._tasks.append(asyncio.ensure_future(work))
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    async def ends(self, *, fail_fast: bool = False) -> list[BaseException | None]:
        """See `all_of`."""
        try:
            while running := [task for task in self._tasks if not task.done()]:
                self._more = asyncio.get_running_loop().create_future()
                await asyncio.wait((*running, self._more), return_when=asyncio.FIRST_COMPLETED)
                if any(_ends_all(task, fail_fast=fail_fast) for task in self._tasks if task.done()):
                    await self._cancelled()
        except asyncio.CancelledError:
            await self._cancelled()
            raise
        return [_end_of(task) for task in self._tasks]

    async def _cancelled(self) -> None:
        self._over = True
        await _cancelled(self._tasks)


def _ends_all(task: asyncio.Future[None], *, fail_fast: bool) -> bool:
    end = _end_of(task)
    return isinstance(end, RunStopped) or (fail_fast and end is not None)


def _end_of(task: asyncio.Future[None]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


async def _cancelled(tasks: Sequence[asyncio.Future[None]]) -> None:
    """Cancel what still runs, and wait until it has settled."""
    for task in tasks:
        task.cancel()
    for task in tasks:
        while not task.done():
            try:
                await asyncio.wait((task,))
            except asyncio.CancelledError:
                continue
