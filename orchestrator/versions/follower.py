"""Follows what is in force: the folder's changes are recorded in Postgres, and what stands there is what is matched.

So all intakes match the same playbooks, also after one whose folder was late, and a file that no longer checks leaves
in force what was recorded before. Nothing that can be wrong with a file, the folder or Postgres ends the process or
takes a playbook out of force.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog

from orchestrator.errors import FilesRefused, Unavailable
from orchestrator.language.program import Playbook
from orchestrator.versions.check import FolderCheck, Verdict
from orchestrator.versions.folder import Files, Folder, Settling
from orchestrator.versions.registry import Registry, compiled, short

log = structlog.get_logger()

Replace = Callable[[Sequence[Playbook]], None]
OnChange = Callable[[Sequence[Playbook]], Awaitable[None]]
"""Called in every intake process with all playbooks in force, in the beginning and whenever some of them have changed.
It is called again, with what is in force by then, where it raises `Unavailable`; so it must be repeatable."""


async def nobody(_: Sequence[Playbook]) -> None:
    """Follows nothing."""


async def nothing() -> None:
    """Keeps nothing."""


async def ready_at_once() -> bool:
    """Waits for nothing."""
    return True


class Follower:
    """Looks at the folder and at Postgres until it is stopped; `replace` puts playbooks in force for the matcher.

    `before` is called first at every look: it sees to what has to be in force before playbooks are, and says whether it
    is. `keep` is called last: it writes down what else of the folder is good, for a start when it no longer is.
    """

    def __init__(
        self,
        *,
        folder: Path,
        check: FolderCheck,
        registry: Registry,
        replace: Replace,
        on_change: OnChange = nobody,
        before: Callable[[], Awaitable[bool]] = ready_at_once,
        keep: Callable[[], Awaitable[None]] = nothing,
        poll_seconds: float = 1.0,
    ) -> None:
        self._folder = Folder(folder)
        self._check = check
        self._registry = registry
        self._replace = replace
        self._on_change = on_change
        self._before = before
        self._keep = keep
        self._poll = poll_seconds
        self._stop = asyncio.Event()
        self._ready = asyncio.Event()
        self._settling = Settling()
        self._taken: Files | None = None
        self._verdicts: Mapping[str, Verdict] = {}
        self._loaded: dict[tuple[str, str], Playbook] = {}
        self._followed: Mapping[str, str] | None = None
        self._no_folder = _Once()
        self._no_postgres = _Once()
        self._differs = _Once()

    def stop(self) -> None:
        """End after the look under way."""
        self._stop.set()

    async def ready(self) -> bool:
        """Wait until playbooks are in force; False where it was stopped before there were any.

        Until then nothing should read alerts: they would be recorded as matching nothing.
        """
        waiting = [asyncio.create_task(one.wait()) for one in (self._ready, self._stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in waiting:
            one.cancel()
        return self._ready.is_set() and not self._stop.is_set()

    async def run(self) -> None:
        """Follow until stopped. Whatever goes wrong is told, and tried again at the next look."""
        while not self._stop.is_set():
            try:
                await self.look()
            except Unavailable as error:
                if self._no_postgres.new(str(error)):
                    log.warning("playbooks.waiting", error=str(error))
            except Exception:
                log.exception("playbooks.broke")  # what is in force stays so, and alerts go on being handled
            await self._pause()

    async def look(self) -> None:
        """Record what changed in the folder, then match what is in force by now."""
        begun = await self._before()
        try:
            files = self._settling.look(await asyncio.to_thread(self._folder.read))
        except FilesRefused as refused:
            if self._no_folder.new(str(refused)):
                log.error("playbooks.folder", error=f"{refused}; what was in force stays so")
        else:
            self._no_folder.new("")
            if files is None or not begun:
                return  # a process that has just started: the files, not what was in force before, come first
            if files != self._taken or await asyncio.to_thread(self._check.outdated):
                await self._take(files)
        if not begun:
            return  # the folder is refused, and so is what has to come before it
        await self._follow(await self._registry.in_force())
        await self._keep()
        self._no_postgres.new("")

    async def _take(self, files: Files) -> None:
        """Check the files and record what became of those that changed; all of them in the beginning."""
        verdicts = await asyncio.to_thread(self._check.check, files)
        first = self._taken is None
        before: Mapping[str, Verdict | None] = self._verdicts
        if first:
            before = dict.fromkeys(await self._registry.names())
        changed: dict[str, Verdict | None] = dict.fromkeys(before.keys() - verdicts.keys())
        changed |= {name: verdict for name, verdict in verdicts.items() if before.get(name) != verdict}
        in_force = await self._registry.apply(changed) if changed else {}
        self._taken, self._verdicts = files, verdicts
        for name, verdict in sorted(changed.items()):
            if not first or verdict is None or verdict.errors:
                _tell(name, verdict, in_force.get(name))

    async def _follow(self, in_force: Mapping[str, str]) -> None:
        """Put in force what is recorded as such; what cannot be loaded here is told, and the rest serves."""
        if in_force == self._followed:
            return
        await self._load(in_force)
        playbooks = [self._loaded[one] for one in sorted(in_force.items()) if one in self._loaded]
        await asyncio.to_thread(self._replace, playbooks)
        if playbooks:
            self._ready.set()
        else:
            log.error("playbooks.none", error="no playbook is in force; intake begins to read once there is one")
        self._tell_difference(in_force)
        await self._on_change(playbooks)
        self._followed = in_force
        log.info("playbooks.in_force", count=len(playbooks))

    async def _load(self, in_force: Mapping[str, str]) -> None:
        """The playbooks in force: from this folder, or, where it holds another version or none, from Postgres."""
        here = {(name, one.playbook.digest): one.playbook for name, one in self._verdicts.items() if one.playbook}
        known = self._loaded | here
        loaded = {one: known[one] for one in in_force.items() if one in known}
        missing = [one for one in in_force.items() if one not in known]
        documents = await self._registry.documents(digest for _, digest in missing) if missing else {}
        for name, digest in missing:
            playbook = await asyncio.to_thread(compiled, name, digest, *documents[digest])
            own = self._verdicts.get(name)
            if playbook := playbook or (own.playbook if own else None):
                loaded[name, digest] = playbook
        self._loaded = loaded

    def _tell_difference(self, in_force: Mapping[str, str]) -> None:
        """Say where this folder holds something else than what another intake's folder put in force."""
        here = {name: one.digest for name, one in self._verdicts.items() if one.digest}
        differs = sorted(name for name, digest in here.items() if in_force.get(name) != digest)
        if self._differs.new(", ".join(differs)) and differs:
            error = "another intake's folder, changed later, put another version in force or removed it"
            log.warning("playbooks.folders_differ", playbooks=differs, error=error)

    async def _pause(self) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), self._poll)
        except TimeoutError:
            return


class _Once:
    """Knows what was said last, so that the same is not said at every look."""

    def __init__(self) -> None:
        self._last = ""

    def new(self, words: str) -> bool:
        """Whether this is something else than the last time."""
        was, self._last = self._last, words
        return words != was


def _tell(name: str, verdict: Verdict | None, in_force: str | None) -> None:
    """A file that changed, on one line of the log."""
    if verdict is None:
        log.warning("playbook.removed", playbook=name)
    elif verdict.errors:
        kept = f"version {short(in_force)} stays in force" if in_force else "nothing is in force for it"
        first = str(verdict.errors[0])
        log.error("playbook.refused", playbook=name, errors=len(verdict.errors), first=first, kept=kept)
    else:
        log.info("playbook.taken", playbook=name, digest=short(in_force))
