"""The site's lists and calendars on disk: read at the start, again when they change, and not lost when they break."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from orchestrator.errors import FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.calendars import Calendar
from orchestrator.language.reference import ReferenceData, ReferenceList
from orchestrator.language.reference_reader import Kind, Parsed, parse_reference

log = structlog.get_logger()
LARGEST = 64 * 1024 * 1024
"""bytes of a file"""
SETTLED = 1.0
"""seconds after its last change until nobody is taken to be writing a file any more"""

Stamp = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ReferenceFile:
    """A list or calendar as it was read from `files`. `changed` is when the last of them was, the one of entries."""

    kind: Kind
    path: Path
    parsed: Parsed
    files: tuple[Path, ...]
    sha256: str
    changed: datetime | None

    @property
    def name(self) -> str:
        """What expressions call it: `lists.x` or `calendars.x`."""
        return f"{self.kind}.{self.path.stem}"

    @property
    def problem(self) -> str:
        """The first error in it, with its place; empty where there is none."""
        return next((str(one) for one in self.parsed.findings if one.level is FindingLevel.ERROR), "")

    def stale(self, now: datetime) -> bool:
        """Whether it is older than it says that it may be."""
        limit = self.parsed.value.max_age if isinstance(self.parsed.value, ReferenceList) else None
        return limit is not None and self.changed is not None and now - self.changed > limit


@dataclass(frozen=True)
class LoadedReference:
    """The lists and calendars that can be used, and every file with what was found in it."""

    data: ReferenceData
    files: tuple[ReferenceFile, ...]

    @property
    def findings(self) -> list[Finding]:
        """What was found in all files, warnings too."""
        return [finding for file in self.files for finding in file.parsed.findings]

    @property
    def errors(self) -> list[Finding]:
        """The findings that keep a list or calendar from being used."""
        return [finding for finding in self.findings if finding.level is FindingLevel.ERROR]


def load_reference(playbooks: Path) -> LoadedReference:
    """What the folders `lists` and `calendars` beside the playbooks hold; a site may have neither."""
    files = tuple(read_reference(kind, path) for kind, path in _paths(playbooks))
    return LoadedReference(_data(files), files)


def read_reference(kind: Kind, path: Path) -> ReferenceFile:
    """One file, and the file of entries that it names; what is wrong with them is among the findings."""
    reading = _Reading()
    parsed = _parse(kind, path, reading)
    return ReferenceFile(kind, path, parsed, tuple(reading.files), reading.sha256, _changed(reading.files[-1]))


def _parse(kind: Kind, path: Path, reading: _Reading) -> Parsed:
    place = Place(str(path), 1)
    try:
        text = reading.text(path)
    except ValueError as error:
        return Parsed("", None, (Finding(place, "unreadable", str(error)),))
    if path.suffix != ".yaml":
        return Parsed("", None, (Finding(place, "name", "the name of the file ends in .yaml", "rename the file"),))
    return parse_reference(kind, path.stem, text, str(path), lambda name: reading.text(path.with_name(name)))


class _Reading:
    """The files that were read for a list or calendar, and a digest over exactly the bytes that were."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def text(self, path: Path) -> str:
        """The text of a file; raises `ValueError` with the reason."""
        self.files.append(path)
        try:
            content = self._bytes(path)
            return content.decode("utf-8-sig")
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"is not text in UTF-8: byte {error.start + 1}") from None

    def again(self, files: Iterable[Path]) -> str:
        """The digest of these files as they are now."""
        for path in files:
            with suppress(OSError, ValueError):
                self._bytes(path)
        return self.sha256

    def _bytes(self, path: Path) -> bytes:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"is larger than {LARGEST // 1024**2} MiB")
        content = path.read_bytes()
        self._digest.update(hashlib.sha256(content).digest())
        return content


def _paths(playbooks: Path) -> Iterator[tuple[Kind, Path]]:
    kinds: tuple[Kind, ...] = ("lists", "calendars")
    for kind in kinds:
        for path in sorted((playbooks / kind).glob("*.y*ml")):
            yield kind, path


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _data(files: Iterable[ReferenceFile]) -> ReferenceData:
    lists, calendars, broken = {}, {}, {}
    for file in files:
        value = file.parsed.value
        if isinstance(value, ReferenceList):
            lists[file.path.stem] = value
        elif isinstance(value, Calendar):
            calendars[file.path.stem] = value
        else:
            broken[file.name] = file.problem
    return ReferenceData(lists, calendars, broken)


class ReferenceKeeper:
    """The lists and calendars in force; their files are looked at again where that was a second ago or longer.

    A file that breaks or goes away loses nothing: what it held when it was good last stays in force, and the log says
    so. Making a keeper raises `FilesRefused` where a file is wrong from the start.
    """

    def __init__(
        self,
        playbooks: Path,
        *,
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._playbooks = playbooks
        self._every = every
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._watched: dict[Path, _Watched] = {}
        self._looked = clock()
        self._find_new(wall())
        errors = [finding for one in self._watched.values() for finding in one.errors]
        if errors:
            raise FilesRefused(errors)
        self._data = _data(one.in_force for one in self._watched.values())

    def current(self) -> ReferenceData:
        """What is in force now. It may read files: call it in a thread where others must not wait."""
        with self._lock:
            if self._clock() - self._looked >= self._every:
                self._looked = self._clock()
                self._look(self._wall())
            return self._data

    def _look(self, now: datetime) -> None:
        changed = [one for one in self._watched.values() if one.look(now)]
        new = self._find_new(now)
        for one in new:
            one.tell()
        if new or changed:
            self._data = _data(one.in_force for one in self._watched.values())

    def _find_new(self, now: datetime) -> list[_Watched]:
        new = [_Watched(kind, path, now) for kind, path in _paths(self._playbooks) if path not in self._watched]
        self._watched |= {one.path: one for one in new}
        return new


class _Watched:
    """A file as it was read last, and as it was when it was good last."""

    def __init__(self, kind: Kind, path: Path, now: datetime) -> None:
        self.path = path
        self._kind = kind
        self._last = self._good = read_reference(kind, path)
        self._read_at: Stamp | None = None
        self._seen: Stamp | None = None
        self._stale = False
        self._believe(now)
        self._look_at_age(now)

    @property
    def in_force(self) -> ReferenceFile:
        """The file as it was when it was good, or as it is where it never was."""
        return self._good

    @property
    def errors(self) -> list[Finding]:
        """What keeps the file as it is now from being used."""
        return [finding for finding in self._last.parsed.findings if finding.level is FindingLevel.ERROR]

    def look(self, now: datetime) -> bool:
        """Read the file again where it changed and nobody is writing it; whether other content is in force now."""
        before = self._good.parsed
        stamp = _stamp(self._last.files)
        if stamp != self._read_at:
            if _is_settled(stamp, now) or stamp == self._seen:
                self._read()
                self._believe(now)
            else:
                self._seen = stamp
        self._look_at_age(now)
        return self._good.parsed is not before

    def tell(self) -> None:
        """Say in the log what the file is now."""
        name, problem = self._last.name, self._last.problem
        if problem:
            kept = "nothing" if self._good.problem else "what it held before"
            log.error("reference.broken", name=name, problem=problem, in_force=kept)
        else:
            log.info("reference.read", name=name, file=str(self.path))

    def _read(self) -> None:
        before = self._last
        if _Reading().again(before.files) == before.sha256:
            self._last = replace(before, changed=_changed(before.files[-1]))
            self._good = self._last if before is self._good else self._good
            return
        self._last = read_reference(self._kind, self.path)
        if not self._last.problem:
            self._good = self._last
        if not self._last.problem or self._last.problem != before.problem:
            self.tell()

    def _believe(self, now: datetime) -> None:
        """Remember when it was read; but a file that somebody may be writing still is read again at the next look."""
        stamp = _stamp(self._last.files)
        self._read_at = stamp if _is_settled(stamp, now) or stamp == self._seen else None
        self._seen = stamp

    def _look_at_age(self, now: datetime) -> None:
        stale = self._good.stale(now)
        if stale and not self._stale:
            log.error("reference.stale", name=self._good.name, changed=str(self._good.changed))
        self._stale = stale


def _stamp(files: Iterable[Path]) -> Stamp:
    """What changes whenever a file does; the time of its inode too, since a copy may keep the time of its content."""
    return tuple(map(_stamp_of, files))


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _is_settled(stamp: Stamp, now: datetime) -> bool:
    """Whether the last change is long enough ago that nobody is in the middle of writing."""
    last = max((max(one[:2]) for one in stamp if one), default=0)
    return now.timestamp() - last / 1e9 > SETTLED
