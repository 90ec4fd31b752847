"""The site's lists and calendars on disk: read at the start, again when they change, and not lost when they break."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

import structlog
from structlog.typing import FilteringBoundLogger

from orchestrator.contract.durations import format_duration
from orchestrator.errors import FilesRefused, Finding, FindingLevel, Place
from orchestrator.language.calendars import Calendar
from orchestrator.language.never_touch import NeverTouchList
from orchestrator.language.reference import ReferenceData, ReferenceList
from orchestrator.language.reference_reader import Kind, Parsed, parse_reference, with_its_word

LARGEST = 64 * 1024 * 1024
"""bytes of a file"""
SETTLED = 1.0
"""seconds after its last change until nobody is taken to be writing a file any more"""

Stamp = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ReferenceFile:
    """A list or calendar as it was read from `files`, which had this stamp and digest then.

    Where it is `restored`, it is what an earlier process has read, since the file as it is cannot be used.
    """

    kind: Kind
    path: Path
    parsed: Parsed
    files: tuple[Path, ...]
    stamp: Stamp
    sha256: str
    restored: bool = False

    @property
    def name(self) -> str:
        """What expressions call it: `lists.x` or `calendars.x`."""
        return f"{self.kind}.{self.path.stem}"

    @property
    def changed(self) -> datetime | None:
        """When its entries changed last; nothing where their file cannot be looked at."""
        last = self.stamp[-1]
        return datetime.fromtimestamp(last[0] / 1e9, UTC) if last else None

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
    return ReferenceFile(kind, path, parsed, tuple(reading.files), tuple(reading.stamp), reading.sha256)


def _parse(kind: Kind, path: Path, reading: _Reading) -> Parsed:
    place = Place(str(path), 1)
    try:
        text = reading.text(path)
    except ValueError as error:
        # nobody knows whether it is one of what must never be touched
        unknown = None if kind == "lists" else False
        return Parsed("", None, (Finding(place, "unreadable", str(error)),), never_touch=unknown)
    if path.suffix != ".yaml":
        misnamed = Finding(place, "name", "the name of the file ends in .yaml", "rename the file")
        return with_its_word(kind, text, Parsed("", None, (misnamed,)))
    return parse_reference(kind, path.stem, text, str(path), lambda name: reading.text(path.with_name(name)))


class _Reading:
    """The files that were read for a list or calendar, their stamp before, and a digest over exactly those bytes."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.stamp: list[tuple[int, ...]] = []
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The digest."""
        return self._digest.hexdigest()

    def text(self, path: Path) -> str:
        """The text of a file; raises `ValueError` with the reason."""
        try:
            return self.content(path).decode("utf-8-sig")
        except OSError as error:
            raise ValueError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"is not text in UTF-8: byte {error.start + 1}") from None

    def content(self, path: Path) -> bytes:
        """The bytes of a file."""
        self.files.append(path)
        self.stamp.append(_stamp_of(path))  # before reading: what changes from here on is seen at the next look
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
    so. A file that is wrong from the start is taken from `before`, what was good in an earlier process, by name; making
    a keeper raises `FilesRefused` where that does not have it.
    """

    def __init__(
        self,
        playbooks: Path,
        *,
        before: Mapping[str, Parsed] = MappingProxyType({}),
        every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._playbooks = playbooks
        self._before = before
        self._every = every
        self._clock = clock
        self._wall = wall
        self._log: FilteringBoundLogger = log or structlog.get_logger()
        self._lock = threading.Lock()
        self._watched: dict[Path, _Watched] = {}
        self._looked = clock()
        self._find_new(wall())
        broken = [one for one in self._watched.values() if one.errors]
        errors = [finding for one in broken if one.in_force.problem for finding in one.errors]
        if errors:
            raise FilesRefused(errors)
        for one in broken:
            one.tell()
        self._data = _data(one.in_force for one in self._watched.values())

    def current(self) -> ReferenceData:
        """What is in force now. It may read files: call it in a thread where others must not wait."""
        with self._lock:
            if self._clock() - self._looked >= self._every:
                self._looked = self._clock()
                self._look(self._wall())
            return self._data

    def good(self) -> list[ReferenceFile]:
        """What was read from files as they are, or as they were until they broke."""
        with self._lock:
            in_force = [one.in_force for one in self._watched.values()]
        return [file for file in in_force if not file.restored and not file.problem]

    def never_touch(self) -> tuple[NeverTouchList, ...]:
        """The lists of what must never be touched as their files are now, with what keeps one from being gone by.

        It may read files, as `current` does. What a broken one held when it was good is there too.
        """
        self.current()
        now = self._wall()
        with self._lock:
            found = [one.guard(now) for one in self._watched.values()]
        return tuple(one for one in found if one is not None)

    def _look(self, now: datetime) -> None:
        changed = [one for one in self._watched.values() if one.look(now)]
        new = self._find_new(now)
        for one in new:
            one.tell()
        if new or changed:
            self._data = _data(one.in_force for one in self._watched.values())

    def _find_new(self, now: datetime) -> list[_Watched]:
        new = [
            _Watched(kind, path, now, self._log, self._before.get(f"{kind}.{path.stem}"))
            for kind, path in _paths(self._playbooks)
            if path not in self._watched
        ]
        self._watched |= {one.path: one for one in new}
        return new


class _Watched:
    """A file as it was read last, and as it was when it was good last."""

    def __init__(self, kind: Kind, path: Path, now: datetime, log: FilteringBoundLogger, before: Parsed | None) -> None:
        self.path = path
        self._log = log
        self._kind = kind
        self._last = self._good = read_reference(kind, path)
        if self._last.problem and before is not None:
            self._good = replace(self._last, parsed=before, restored=True)
        self._seen: Stamp | None = None
        self._guard: NeverTouchList | None = None
        self._guarded: Parsed | None = None
        self._stale = False
        self._look_at_age(now)

    @property
    def in_force(self) -> ReferenceFile:
        """The file as it was when it was good, or as it is where it never was."""
        return self._good

    @property
    def errors(self) -> list[Finding]:
        """What keeps the file as it is now from being used."""
        return [finding for finding in self._last.parsed.findings if finding.level is FindingLevel.ERROR]

    def guard(self, now: datetime) -> NeverTouchList | None:
        """What it guards, where it is a list of what must never be touched, or may be one for all that is known."""
        last, good = self._last.parsed, self._good.parsed
        marked = last.never_touch if last.never_touch is not None else good.never_touch
        if not (marked or marked is None or (self._last.problem and good.never_touch)):
            return None
        trouble = self._trouble(now)
        kind = good.type if last.type in (None, good.type) else None  # of which type it is to be, nobody knows
        if self._guard is None or self._guarded is not good or self._guard.type != kind:
            entries = good.value.entries if isinstance(good.value, ReferenceList) else ()
            self._guard, self._guarded = NeverTouchList(self._last.name, kind, entries), good
        return self._guard.as_found(trouble)

    def _trouble(self, now: datetime) -> str:
        """Why nobody can go by it as it is now, with its file and the likely fix."""
        if self._last.problem:
            return f"{self._last.problem}; mend the file"
        if not self._last.stale(now):
            return ""
        limit = getattr(self._last.parsed.value, "max_age", None)
        told = format_duration(limit.total_seconds()) if limit else ""
        changed = f"{self._last.changed:%Y-%m-%d %H:%M}" if self._last.changed else "?"
        file = self._last.files[-1]
        return f"{file}: older than its max_age of {told}, it changed last on {changed} UTC; bring it up to date"

    def look(self, now: datetime) -> bool:
        """Read the file again where it changed and nobody is writing it; whether other content is in force now."""
        before = self._good.parsed
        stamp = _stamp(self._last.files)
        if stamp != self._last.stamp:
            if _is_settled(stamp, now) or stamp == self._seen:
                self._read()
            self._seen = stamp
        self._look_at_age(now)
        return self._good.parsed is not before

    def tell(self) -> None:
        """Say in the log what the file is now."""
        name, problem = self._last.name, self._last.problem
        if problem:
            kept = "nothing" if self._good.problem else "what it held before"
            self._log.error("reference.broken", name=name, problem=problem, in_force=kept)
        else:
            self._log.info("reference.read", name=name, file=str(self.path))

    def _read(self) -> None:
        before = self._last
        again = _Reading()
        for path in before.files:
            with suppress(OSError, ValueError):
                again.content(path)
        if again.sha256 == before.sha256:
            self._last = replace(before, stamp=tuple(again.stamp))
            self._good = self._last if before is self._good else self._good
            return
        self._last = read_reference(self._kind, self.path)
        if not self._last.problem:
            self._good = self._last
        if not self._last.problem or self._last.problem != before.problem:
            self.tell()

    def _look_at_age(self, now: datetime) -> None:
        stale = self._good.stale(now)
        if stale and not self._stale:
            self._log.error("reference.stale", name=self._good.name, changed=str(self._good.changed))
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
