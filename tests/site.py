"""Tocsin as a user runs it: the command in processes of its own, its settings in the environment."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.settings import Settings, child_environment
from tests.command import tocsin
from tests.faults.processes import Process


@dataclass(frozen=True)
class Site:
    """A folder with playbooks, and settings for every command that runs there."""

    folder: Path
    environment: dict[str, str]

    async def tocsin(self, *arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        """What the command does and says; `settings` are TOCSIN_ variables beside the site's own."""
        environment = self.environment | settings
        return await asyncio.to_thread(
            tocsin, *arguments, environment=environment, folder=self.folder, stdin=stdin
        )  # fmt: skip

    @contextmanager
    def running(self, role: str) -> Iterator[Process]:
        """`tocsin serve`, or another role, for as long as the block runs; it has to end well when it is asked to."""
        process = Process(role, self.environment, self.folder)
        try:
            yield process
            assert process.end() == 0, process.said()
        finally:
            process.kill()

    def write(self, name: str, content: str | bytes) -> str:
        """A file of the site; its path."""
        file = self.folder / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(file)


def make_site(folder: Path, playbooks: Mapping[str, str], settings: Mapping[str, Any]) -> Site:
    """A site with these playbooks, by their names, and these settings."""
    (folder / "playbooks").mkdir(parents=True)
    for name, text in playbooks.items():
        (folder / "playbooks" / f"{name}.yaml").write_text(text)
    own = {"home": str(folder / "home"), "playbooks": str(folder / "playbooks"), **settings}
    return Site(folder, child_environment(**variables(own)))


def variables(settings: Mapping[str, Any], prefix: str = "TOCSIN_") -> dict[str, str]:
    """Settings as environment variables: `TOCSIN_KAFKA__BOOTSTRAP` and so on."""
    named: dict[str, str] = {}
    for name, value in settings.items():
        here = prefix + name.upper()
        named |= variables(value, here + "__") if isinstance(value, Mapping) else {here: str(value)}
    return named


def on_the_test_servers(settings: Settings) -> dict[str, Any]:
    """The settings of a test, for a site: its servers, topics, task queue and database."""
    kafka, temporal = settings.kafka, settings.temporal
    assert settings.database.url
    return {
        "kafka": {"bootstrap": kafka.bootstrap, "topics": kafka.topics.model_dump()},
        "temporal": {"address": temporal.address, "ui": temporal.ui, "task_queue": temporal.task_queue},
        "database": {"url": settings.database.url.get_secret_value()},
        "intake": {"group": f"group-{temporal.task_queue}"},
        "keeper": {"poll_seconds": settings.keeper.poll_seconds},
    }
