"""The product that reads files: their bytes come from whoever keeps them, and go no further."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from orchestrator.actions.breakers import Always, Door
from orchestrator.actions.site import Configured, Site
from orchestrator.contract import MANY, ActionFailed, Call, Config, FileRef, Integration, NotFound, Rejected
from orchestrator.contract.capabilities import evidence
from orchestrator.language.expressions.filters.indicators import found_in

PRINTABLE = re.compile(rb"[\t\r\n\x20-\x7e]{6,}")
"""a run of letters in a file that is no text"""
PRINTABLE_WIDE = re.compile(rb"(?:[\t\r\n\x20-\x7e]\x00){6,}")
"""the same in UTF-16, as programs for Windows hold it"""


def own_evidence(site: Callable[[], Site], doors: Door | None = None) -> Integration[Config]:
    """The product that answers `evidence.extract`; needs no settings."""
    product = Integration("evidence", "Files that actions have given", Config)

    @product.reads(evidence.extract)
    async def extract(call: Call[Config], want: evidence.Evidence) -> evidence.Indicators:
        """Read in a thread: a file may be large."""
        content = await fetch(site(), doors or Always(), call, want.file)
        return await asyncio.to_thread(indicators_of, want.file, content)

    return product


async def fetch(site: Site, doors: Door, call: Call[Config], file: FileRef) -> bytes:
    """The file's bytes from the first integration that has them; raises `NotFound` where none has."""
    for keeper in site.keepers:
        try:
            content = await _asked(keeper, doors, call, file)
        except NotFound:
            continue
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise Rejected(f"{keeper.name} gave other bytes for the file {file}")
        return content
    raise NotFound(f"no integration that is configured here keeps the file {file}")


async def _asked(keeper: Configured, doors: Door, call: Call[Config], file: FileRef) -> bytes:
    keeps = keeper.product.keeps
    if keeps is None:
        raise NotFound(f"{keeper.name} keeps no files")
    theirs = replace(call, config=keeper.config, http=keeper.client(call.seconds_left, lambda: None))
    leave = await doors.enter(keeper, call.seconds_left)
    try:
        content = await keeps(theirs, file)
    except ActionFailed as failure:
        await doors.failed(leave, failure)
        raise
    await doors.answered(leave)
    return content


def indicators_of(file: FileRef, content: bytes) -> evidence.Indicators:
    """What stands in these bytes."""
    found = found_in(text_of(content))
    shown = {kind: tuple(values[:MANY]) for kind, values in found.items()}
    return evidence.Indicators(
        sha256=file.sha256, truncated=any(len(values) > MANY for values in found.values()), **shown
    )  # fmt: skip


def text_of(content: bytes) -> str:
    """The file as text; of one that is none, the runs of letters in it."""
    for encoding in _encodings(content):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    wide = (run.replace(b"\x00", b"") for run in PRINTABLE_WIDE.findall(content))
    return "\n".join(run.decode("ascii") for run in [*PRINTABLE.findall(content), *wide])


def _encodings(content: bytes) -> Iterable[str]:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield "utf-16"
    if b"\x00" not in content:
        yield "utf-8"
