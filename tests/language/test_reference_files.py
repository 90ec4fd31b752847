"""Lists and calendars on disk: read again when they change, kept when they break, and never lost in silence."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from orchestrator.errors import FilesRefused
from orchestrator.language.reference import ReferenceData, ReferenceRefused
from orchestrator.language.reference_files import LARGEST, ReferenceKeeper, load_reference

START = datetime(2026, 5, 4, 8, 0, tzinfo=UTC)
_seconds = itertools.count()


class Site:
    """A folder of playbooks whose files change, and what the keeper of its lists says about it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = 0.0
        self.now = datetime.now(UTC) + timedelta(days=1)  # long after every change: nobody is writing any more
        self._said = LogCapture()

    def write(self, name: str, text: str | bytes, at: datetime | None = None) -> Path:
        """A file with this content, changed at this time or at one of its own."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        moment = at.timestamp() if at else START.timestamp() + next(_seconds)
        os.utime(path, (moment, moment))
        return path

    def keeper(self) -> ReferenceKeeper:
        log = structlog.wrap_logger(None, processors=[self._said], wrapper_class=structlog.BoundLogger)
        return ReferenceKeeper(self.folder, clock=lambda: self.clock, wall=lambda: self.now, log=log)

    def later(self, keeper: ReferenceKeeper) -> ReferenceData:
        """What is in force at the next look."""
        self.clock += 1.0
        return keeper.current()

    def said(self) -> list[Mapping[str, Any]]:
        """The lines of the log since the last time."""
        lines, self._said.entries = self._said.entries, []
        return lines


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    made.write("lists/vpn.yaml", "title: VPN\ntype: ip\nentries: [10.0.0.1]\n")
    made.write("lists/feed.yaml", "title: Feed\ntype: domain\nfile: feed.txt\n")
    made.write("lists/feed.txt", "bad.example\n")
    made.write("calendars/office.yaml", "title: Office\ntz: UTC\nhours: {mon: ['09:00-17:00']}\n")
    return made


def entries(data: ReferenceData, name: str) -> tuple[str, ...]:
    return data.lists[name].entries


def test_a_site_needs_no_lists(tmp_path: Path) -> None:
    """No folder is no lists; the first one appears without a restart."""
    site = Site(tmp_path)
    keeper = site.keeper()
    assert keeper.current() == ReferenceData()
    site.write("lists/vpn.yaml", "title: VPN\ntype: ip\nentries: [10.0.0.1]\n")
    assert entries(site.later(keeper), "vpn") == ("10.0.0.1",)
    assert [line["event"] for line in site.said()] == ["reference.read"]


def test_a_changed_file_is_read_again_at_most_once_a_second(site: Site) -> None:
    """Before that second is over, nobody looks."""
    keeper = site.keeper()
    site.write("lists/vpn.yaml", "title: VPN\ntype: ip\nentries: [10.0.0.2]\n")
    site.clock += 0.9
    assert entries(keeper.current(), "vpn") == ("10.0.0.1",)
    site.clock += 0.1
    assert entries(keeper.current(), "vpn") == ("10.0.0.2",)
    assert [(line["event"], line["name"]) for line in site.said()] == [("reference.read", "lists.vpn")]


def test_the_file_of_entries_is_watched_too(site: Site) -> None:
    """Also another one, once the list names it."""
    keeper = site.keeper()
    site.write("lists/feed.txt", "worse.example\n")
    assert entries(site.later(keeper), "feed") == ("worse.example",)
    site.write("lists/other.txt", "other.example\n")
    site.write("lists/feed.yaml", "title: Feed\ntype: domain\nfile: other.txt\n")
    assert entries(site.later(keeper), "feed") == ("other.example",)
    site.write("lists/other.txt", "another.example\n")
    assert entries(site.later(keeper), "feed") == ("another.example",)


def test_what_did_not_change_is_what_it_was(site: Site) -> None:
    """A file that was touched, or written again as it was, costs nobody anything."""
    keeper = site.keeper()
    before = site.later(keeper)
    site.write("lists/feed.txt", "bad.example\n")
    assert site.later(keeper) is before
    assert site.said() == []


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("lists/vpn.yaml", "title: VPN\ntype: ip\nentries: [10.0.0.300]\n", "10.0.0.300"),
        ("lists/vpn.yaml", b"title: \xff", "is not text in UTF-8: byte 8"),
        ("lists/feed.txt", "", "holds no entries; a download that failed looks like this"),
        ("lists/feed.txt", "<html>Service unavailable</html>\n", "write the name alone"),
        ("calendars/office.yaml", "title: Office\ntz: UTC\nhours: {monday: []}\n", "did you mean `mon`?"),
    ],
)
def test_a_file_that_breaks_keeps_what_it_held_until_it_heals(
    site: Site, name: str, content: str | bytes, says: str
) -> None:
    """The log says it once, as an error, with the place; the mended file counts at once."""
    keeper = site.keeper()
    before = keeper.current()
    good = (site.folder / name).read_text()
    for more in ("", "\n", "\n\n"):
        site.write(name, content + (more if isinstance(content, str) else more.encode()))
        after = site.later(keeper)
        assert (after.lists, after.calendars, after.broken) == (before.lists, before.calendars, {})
    [line] = site.said()
    assert (line["event"], line["log_level"]) == ("reference.broken", "error")
    assert line["in_force"] == "what it held before"
    assert says in line["problem"]
    site.write(name, good)
    assert site.later(keeper) == before
    assert [line["event"] for line in site.said()] == ["reference.read"]


def test_a_file_that_goes_away_keeps_what_it_held(site: Site) -> None:
    """A list never becomes empty because a disk is away; a restart without the file ends the list."""
    keeper = site.keeper()
    before = keeper.current()
    for file in (*site.folder.glob("lists/*"), *site.folder.glob("calendars/*")):
        file.unlink()
    assert site.later(keeper) == before
    lines = site.said()
    assert {line["name"] for line in lines} == {"lists.vpn", "lists.feed", "calendars.office"}
    assert all("cannot be read: No such file or directory" in line["problem"] for line in lines)
    assert site.keeper().current() == ReferenceData()


def test_a_new_file_that_is_broken_cannot_be_had(site: Site) -> None:
    """It never held anything, so whoever asks for it is told why."""
    keeper = site.keeper()
    site.write("lists/new.yaml", "title: New\ntype: ip\n")
    data = site.later(keeper)
    [line] = site.said()
    assert (line["event"], line["in_force"]) == ("reference.broken", "nothing")
    with pytest.raises(ReferenceRefused, match=r"`lists\.new` cannot be read; .*`entries` is missing"):
        data.snapshot(["lists.new", "lists.vpn"])


def test_a_file_in_the_middle_of_being_written_is_not_believed(site: Site) -> None:
    """Half of a feed is a feed without its other half: it counts when a second passed without a change."""
    keeper = site.keeper()
    path = site.write("lists/feed.txt", "worse.example\nhal")
    site.now = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    assert entries(site.later(keeper), "feed") == ("bad.example",)
    site.write("lists/feed.txt", "worse.example\nhalf.example\n")
    assert entries(site.later(keeper), "feed") == ("bad.example",)
    assert entries(site.later(keeper), "feed") == ("worse.example", "half.example")
    assert len(site.said()) == 1


def test_a_file_that_was_being_written_at_the_start_is_read_again(site: Site) -> None:
    """There was nothing better then; the whole of it counts as soon as it is there."""
    path = site.write("lists/feed.txt", "worse.example\n")
    site.now = datetime.fromtimestamp(path.stat().st_ctime, UTC)
    keeper = site.keeper()
    assert entries(keeper.current(), "feed") == ("worse.example",)
    site.write("lists/feed.txt", "worse.example\nhalf.example\n")
    site.later(keeper)
    assert entries(site.later(keeper), "feed") == ("worse.example", "half.example")


def test_a_stale_list_is_read_and_said_to_be_stale(site: Site) -> None:
    """Once, until it is fresh again; writing it again as it was makes it fresh."""
    site.write("lists/feed.yaml", "title: Feed\ntype: domain\nfile: feed.txt\nmax_age: 2d\n")
    site.write("lists/feed.txt", "bad.example\n", at=site.now - timedelta(days=2, seconds=1))
    keeper = site.keeper()
    assert entries(site.later(keeper), "feed") == ("bad.example",)
    assert [(line["event"], line["log_level"]) for line in site.said()] == [("reference.stale", "error")]
    site.write("lists/feed.txt", "bad.example\n", at=site.now - timedelta(seconds=10))
    site.later(keeper)
    assert site.said() == []
    site.now += timedelta(days=2)
    assert entries(site.later(keeper), "feed") == ("bad.example",)
    assert [line["event"] for line in site.said()] == ["reference.stale"]


def test_nothing_starts_with_broken_files(site: Site) -> None:
    """All mistakes of all files at once."""
    site.write("lists/vpn.yaml", "title: VPN\ntype: ip\nentries: [x]\n")
    site.write("lists/old.yml", "title: Old\ntype: ip\nentries: []\n")
    site.write("lists/feed.txt", "")
    site.write("calendars/office.yaml", "title: Office\n")
    with pytest.raises(FilesRefused) as refused:
        site.keeper()
    told = str(refused.value)
    for part in (
        "vpn.yaml:3:11",
        "old.yml:1:1: the name of the file ends in .yaml",
        "feed.yaml:3:7",
        "`tz` is missing",
    ):
        assert part in told


def test_a_folder_is_read_whole_with_what_is_good_in_it(site: Site) -> None:
    """For the checker and the commands: the good ones, and why the others cannot be had."""
    site.write("lists/feed.txt", "")
    with (site.folder / "lists" / "huge.yaml").open("wb") as huge:
        huge.truncate(LARGEST + 1)
    loaded = load_reference(site.folder)
    assert [file.name for file in loaded.files] == ["lists.feed", "lists.huge", "lists.vpn", "calendars.office"]
    assert set(loaded.data.lists) == {"vpn"}
    assert set(loaded.data.broken) == {"lists.feed", "lists.huge"}
    assert "is larger than 64 MiB" in loaded.data.broken["lists.huge"]
    assert len(loaded.errors) == 2
