"""`tocsin lists` as people and machines read it."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.settings import child_environment
from tests.command import tocsin


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "calendars").mkdir()
    (tmp_path / "lists" / "vpn.yaml").write_text(
        "title: Addresses of the VPN\ntype: ip\nentries: ['::ffff:10.0.0.1']\n"
    )
    (tmp_path / "lists" / "feed.yaml").write_text("title: Feed\ntype: domain\nfile: feed.txt\nmax_age: 1d\n")
    feed = tmp_path / "lists" / "feed.txt"
    feed.write_text("".join(f"H{number}.Example\n" for number in range(1_001)))
    old = datetime.now(UTC).timestamp() - 100_000
    os.utime(feed, (old, old))
    (tmp_path / "calendars" / "office.yaml").write_text(
        "title: The office\ntz: Europe/Berlin\nhours: {mon: ['09:00-12:00', '13:00-17:00']}\nholidays: [2026-12-25]\n"
    )
    return tmp_path


def lists(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return tocsin("lists", *arguments, environment=child_environment(TOCSIN_PLAYBOOKS=str(site)))


def test_people_see_what_there_is(site: Path) -> None:
    """Type, size, age and state of each."""
    done = lists(site)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["lists.vpn"][1:3] == ["ip", "1"]
    assert "good" in rows["lists.vpn"]
    assert rows["lists.feed"][1:5] == ["domain", "1,001", "1d3h", "stale"]
    assert rows["calendars.office"][1] == "calendar"


def test_machines_see_the_same(site: Path) -> None:
    """One line of JSON; `fits_a_run` is false for a list that only `list.contains` can ask."""
    told = {one["name"]: one for one in json.loads(lists(site, "--json").stdout)}
    assert set(told) == {"lists.vpn", "lists.feed", "calendars.office"}
    feed = told["lists.feed"]
    assert (feed["type"], feed["entries"], feed["state"], feed["fits_a_run"]) == ("domain", 1_001, "stale", False)
    assert 100_000 <= feed["age_seconds"] < 100_600
    assert feed["max_age_seconds"] == 86_400
    assert told["lists.vpn"]["fits_a_run"] is True


def test_one_of_them_shows_what_it_holds(site: Path) -> None:
    """Entries in the one spelling that counts, one a line; a calendar as days."""
    assert lists(site, "vpn").stdout == "10.0.0.1\n"
    assert lists(site, "lists.feed").stdout.splitlines()[-1] == "h1000.example"
    assert json.loads(lists(site, "vpn", "--json").stdout)["entries"] == ["10.0.0.1"]
    office = lists(site, "office").stdout
    assert "09:00-12:00, 13:00-17:00" in office
    assert "closed on 2026-12-25" in office
    assert json.loads(lists(site, "calendars.office", "--json").stdout)["hours"]["monday"][0] == ["09:00", "12:00"]


def test_without_a_database_the_files_are_shown_and_what_is_missing_is_said(site: Path) -> None:
    """Whether no server runs here, or one is away: a writable list holds what runs have put there, too."""
    with (site / "lists" / "vpn.yaml").open("a") as file:
        file.write("writable: true\n")
    here = {"TOCSIN_PLAYBOOKS": str(site), "TOCSIN_HOME": str(site)}
    servers = {"TOCSIN_KAFKA__BOOTSTRAP": "127.0.0.1:1", "TOCSIN_TEMPORAL__ADDRESS": "127.0.0.1:1"}
    servers["TOCSIN_DATABASE__URL"] = "postgresql://127.0.0.1:1/none"
    for more, why in (({}, "not running here"), (servers, "cannot be reached")):
        done = tocsin("lists", "vpn", environment=child_environment(**here, **more))
        assert (done.returncode, done.stdout) == (0, "10.0.0.1\n")
        assert done.stderr.startswith("what runs have put on lists is not shown: ")
        assert why in done.stderr.replace("\n", " ")


def test_what_must_never_be_touched_is_marked(site: Path) -> None:
    """Good, stale or broken; one that is not good stands for everything of its type."""
    mark = "never_touch: true\n"
    (site / "lists" / "ours.yaml").write_text("title: Ours\ntype: ip\nentries: [10.0.0.1]\n" + mark)
    with (site / "lists" / "feed.yaml").open("a") as feed:
        feed.write(mark)
    rows = {line.split()[0]: line for line in lists(site).stdout.splitlines()}
    assert "never touch" in rows["lists.ours"]
    assert "stale: nothing of its type is touched" in rows["lists.feed"]
    assert "touch" not in rows["lists.vpn"] + rows["calendars.office"]
    (site / "lists" / "ours.yaml").write_text("title: Ours\ntype: ip\nentries: []\n" + mark)
    told = {one["name"]: (one["never_touch"], one["state"]) for one in json.loads(lists(site, "--json").stdout)}
    assert told == {
        "lists.ours": (True, "broken"), "lists.feed": (True, "stale"), "lists.vpn": (False, "good"),
        "calendars.office": (False, "good"),
    }  # fmt: skip


def test_a_broken_one_is_told_with_its_place(site: Path) -> None:
    """Exit code 1, in every form."""
    (site / "lists" / "vpn.yaml").write_text("title: VPN\ntype: ip\nentries: [10.0.0.300]\n")
    for arguments in ((), ("--json",), ("vpn",)):
        done = lists(site, *arguments)
        assert done.returncode == 1
        assert f"{site}/lists/vpn.yaml:3:11: '10.0.0.300'" in done.stderr
    assert {one["name"]: one["state"] for one in json.loads(lists(site, "--json").stdout)}["lists.vpn"] == "broken"


def test_a_name_that_there_is_not_gets_the_nearest_one(site: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """And a site without lists is told where they go."""
    done = lists(site, "fed")
    assert done.returncode == 2
    assert "no list or calendar is named fed; did you mean feed?" in done.stderr
    empty = lists(tmp_path_factory.mktemp("empty"))
    assert empty.returncode == 0
    assert "lists/NAME.yaml" in empty.stdout
