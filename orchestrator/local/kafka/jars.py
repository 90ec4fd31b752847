"""The broker's jars: named by a small pom, fetched by Maven once, kept in the user's cache under the pom's own hash."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import psutil

from orchestrator.errors import StackError
from orchestrator.local.processes import run_guarded
from orchestrator.settings import child_environment, user_cache

POM = Path(__file__).parent / "pom.xml"
LISTING = "jars.sha256"
FETCHING = "fetching-"


def jar_folder() -> Path:
    """Where the jars of this pom are, or will be."""
    return user_cache() / "kafka" / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


def have_jars() -> bool:
    """Whether all jars are there, each of the size that it had when it was fetched."""
    folder = jar_folder()
    listing = folder / LISTING
    if not listing.exists():
        return False
    entries = [line.split("  ") for line in listing.read_text().splitlines()]
    return all((folder / name).exists() and (folder / name).stat().st_size == int(size) for size, name in entries)


def resolve_jars() -> Path:
    """The folder with all jars; fetches them where they are missing.

    Two processes may do this at once: each fills a folder of its own, and the first to finish gives its the name.
    Raises `StackError` where Maven is missing or fails.
    """
    folder = jar_folder()
    if have_jars():
        return folder
    if shutil.which("mvn") is None:
        raise StackError(
            "the local Kafka needs Maven to fetch its jars, and there is no `mvn` on the PATH; install it "
            "(Debian: apt-get install maven), or name a broker of your own: TOCSIN_KAFKA__BOOTSTRAP=host:port"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(folder.parent)
    with tempfile.TemporaryDirectory(prefix=f"{FETCHING}{os.getpid()}-", dir=folder.parent) as scratch:
        fresh = _fetch(Path(scratch))
        shutil.rmtree(folder, ignore_errors=True)
        try:
            os.replace(fresh, folder)  # noqa: PTH105 - Path.replace says the same, less plainly for folders
        except OSError:
            if not have_jars():
                raise
    return folder


def _clear_up(cache: Path) -> None:
    """Remove what processes left there that were killed while they fetched."""
    for left in cache.glob(f"{FETCHING}*"):
        if not psutil.pid_exists(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)


def _fetch(scratch: Path) -> Path:
    shutil.copy(POM, scratch / "pom.xml")
    jars = scratch / "jars"
    command = [
        "mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies",
        f"-DoutputDirectory={jars}", "-DincludeScope=runtime",
    ]  # fmt: skip
    done = run_guarded(command, scratch, child_environment(), seconds=600)
    if done.returncode or not any(jars.glob("kafka_2.13-*.jar")):
        end = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise StackError(f"Maven could not fetch the jars of the local Kafka:\n{end}")
    listing = "\n".join(f"{jar.stat().st_size}  {jar.name}" for jar in sorted(jars.glob("*.jar")))
    (jars / LISTING).write_text(listing)
    return jars
