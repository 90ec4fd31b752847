"""The broker's classes are read ahead once, and a start never waits for that or fails by it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from orchestrator.errors import StackError
from orchestrator.local.endpoints import Endpoints
from orchestrator.local.folders import locked
from orchestrator.local.kafka import jar_folder
from orchestrator.local.kafka.classes import classes_read_ahead, file_of_classes


class FirstRuns:
    """What a first run leaves behind, and how often there was one."""

    def __init__(self, content: bytes | None) -> None:
        self.content, self.count = content, 0

    async def __call__(self, folder: Path, options: list[str]) -> None:
        self.count += 1
        if self.content is None:
            raise StackError("it ended")
        (option,) = options
        Path(option.removeprefix("-XX:AOTCacheOutput=")).write_bytes(self.content)


async def test_the_first_start_makes_the_file_that_all_later_ones_use(tmp_path: Path) -> None:
    """By the JVM's own option, which names it."""
    first_run = FirstRuns(b"classes")
    options = await classes_read_ahead(tmp_path, first_run)
    (made,) = tmp_path.glob("classes-*.aot")
    assert options == await classes_read_ahead(tmp_path, first_run) == [f"-XX:AOTCache={made}"]
    assert (made.read_bytes(), first_run.count) == (b"classes", 1)


async def test_where_it_cannot_be_made_the_broker_starts_without_and_nobody_tries_again(tmp_path: Path) -> None:
    """It only saves time, so it must cost none."""
    first_run = FirstRuns(None)
    assert [await classes_read_ahead(tmp_path, first_run) for _ in range(2)] == [[], []]
    assert first_run.count == 1


async def test_while_another_process_makes_it_the_broker_starts_without(tmp_path: Path) -> None:
    """Such as the next of several test processes on a fresh machine."""
    first_run = FirstRuns(b"classes")
    with locked(tmp_path / "first-run"):
        assert await classes_read_ahead(tmp_path, first_run) == []
    assert first_run.count == 0


async def test_the_real_broker_leaves_its_classes_behind(stack: Endpoints) -> None:
    """Beside the jars; perhaps it is another process that makes them just now."""
    kept = file_of_classes(jar_folder())
    while not kept.exists():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.1)
    assert kept.stat().st_size > 10_000_000
