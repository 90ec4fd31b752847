"""A site of one folder of playbooks, and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import EventDict

from orchestrator.actions.catalog import scan
from orchestrator.audit.reading import about
from orchestrator.language.loader import check_all
from orchestrator.language.program import Playbook
from orchestrator.versions.check import FolderCheck
from orchestrator.versions.follower import Follower
from orchestrator.versions.registry import Registry

CHECK = partial(check_all, capabilities=scan().capabilities)
PLAYBOOK = """
title: "{title}"
trigger: {{match: alert.severity >= "high"}}
steps:
  - {{id: note, action: notify.send, with: {{channel: soc, text: "{title}"}}}}
  - {{id: sure, approval: {{ask: "Block it?", covers: [block], within: 1h}}, when: "{asks}"}}
  - {{id: block, action: firewall.block_ip, with: {{ip: 203.0.113.7}}, for: 1h, when: "{asks}"}}
tests:
  - {{name: starts, alert: {{severity: high}}, answers: {{sure: approve}}, expect: {{starts: true}}}}
  - {{name: does not, alert: {{severity: low}}, expect: {{starts: false}}}}
"""
BROKEN = PLAYBOOK.replace("notify.send", "notify.sent")


CALLER = """
title: "{title}"
trigger: {{match: alert.severity >= "high"}}
steps:
  - {{id: call, playbook: {called}}}
tests:
  - {{name: starts, alert: {{severity: high}}, expect: {{starts: true}}}}
  - {{name: does not, alert: {{severity: low}}, expect: {{starts: false}}}}
"""
CALLED = """
title: "{title}"
steps:
  - {{id: note, action: notify.send, with: {{channel: soc, text: "{title}"}}}}
"""


def playbook(title: str, *, asks: bool = False, form: str = PLAYBOOK) -> str:
    """A playbook that says its title in the chat, and, where it asks, waits for people."""
    return form.format(title=title, asks=str(asks).lower())


def broken(title: str = "broken") -> str:
    """One that does not check."""
    return playbook(title, form=BROKEN)


def caller(called: str, title: str = "calls") -> str:
    """One that calls another."""
    return CALLER.format(called=called, title=title)


def called(title: str) -> str:
    """One that is called and not started by alerts."""
    return CALLED.format(title=title)


class Site:
    """A folder and a database."""

    def __init__(self, folder: Path, engine: AsyncEngine) -> None:
        self.folder = folder
        self.engine = engine
        folder.mkdir()

    def write(self, name: str, content: str) -> None:
        """Write a playbook's file as a careful editor does: whole or not at all."""
        fresh = self.folder / f".{name}.new"
        fresh.write_text(content)
        fresh.replace(self.folder / f"{name}.yaml")

    def remove(self, name: str) -> None:
        """Delete a playbook's file."""
        (self.folder / f"{name}.yaml").unlink()

    def process(self, **more: Any) -> Process:
        """What an intake process has of it."""
        return Process(self, **more)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of the database."""
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def do(self, statement: str, **values: Any) -> None:
        """Change the database by hand."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def told(self, name: str) -> list[str]:
        """The types of the audit's events about a playbook."""
        return [one.type.removeprefix("playbook.") for one in await about(self.engine, name)]

    async def body(self, name: str) -> dict[str, Any]:
        """The last event about a playbook."""
        return (await about(self.engine, name))[-1].body


class Process:
    """A follower, and the playbooks that its matcher would be given."""

    def __init__(
        self, site: Site, *, folder: Path | None = None, engine: AsyncEngine | None = None, **more: Any
    ) -> None:
        self.playbooks: Sequence[Playbook] = ()
        self.follower = Follower(
            folder=folder or site.folder,
            check=more.pop("check", None) or FolderCheck(CHECK),
            registry=Registry(engine or site.engine, by=more.pop("by", "host:1")),
            replace=self._replace,
            **more,
        )

    async def look(self, times: int = 2) -> list[str]:
        """Look so often at the folder; the titles in force then."""
        for _ in range(times):
            await self.follower.look()
        return self.titles

    @property
    def titles(self) -> list[str]:
        """The titles in force."""
        return [one.title for one in self.playbooks]

    def _replace(self, playbooks: Sequence[Playbook]) -> None:
        self.playbooks = playbooks


def events(lines: list[EventDict], level: str) -> list[str]:
    """The events of a level."""
    return [line["event"] for line in lines if line["log_level"] == level]
