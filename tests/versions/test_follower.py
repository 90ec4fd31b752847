"""What is in force follows the files, on a real Postgres: good ones come, broken ones change nothing and are told."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url
from structlog.testing import capture_logs

from orchestrator.actions.catalog import scan
from orchestrator.audit.database import make_engine
from orchestrator.audit.events import to_json
from orchestrator.errors import Unavailable
from orchestrator.language.loader import Loaded, Read, check_all
from orchestrator.language.program import Playbook, digest_of
from orchestrator.versions.check import FolderCheck
from orchestrator.versions.folder import COARSEST_CLOCK, File, Folder, Settling
from orchestrator.versions.history import history
from tests.versions.gate import Gate
from tests.versions.site import CHECK, Site, broken, called, caller, events, playbook

KEEP = """
INSERT INTO tocsin.playbook_version (digest, name, document, source)
VALUES (:digest, 'contain', CAST(:document AS jsonb), 'contain.yaml')
"""


async def test_a_changed_file_comes_into_force_once_it_stands_still(site: Site) -> None:
    """At the second look that sees the same; the audit says which version took whose place."""
    site.write("contain", playbook("one"))
    process = site.process(by="host:7")
    assert await process.look(1) == []
    assert await process.look(1) == ["one"]
    first = process.playbooks[0].digest

    site.write("contain", playbook("two"))
    assert await process.look(1) == ["one"]
    assert await process.look(1) == ["two"]

    assert await site.told("contain") == ["registered", "in_force", "registered", "in_force"]
    body = await site.body("contain")
    assert (body["was"], body["digest"], body["by"]) == (first, process.playbooks[0].digest, "host:7")
    periods = await site.rows("SELECT digest, until - since AS time FROM tocsin.playbook_in_force ORDER BY since")
    assert [row.digest for row in periods] == [first, process.playbooks[0].digest]
    assert periods[0].time.total_seconds() > 0
    assert periods[1].time is None


async def test_a_file_that_is_being_written_is_not_believed(site: Site) -> None:
    """Cut off after the first step it is a good playbook, and not the one that somebody reviewed."""
    site.write("contain", playbook("one"))
    process = site.process()
    await process.look()
    whole = playbook("two").splitlines(keepends=True)
    for end in range(5, len(whole) + 1):
        (site.folder / "contain.yaml").write_text("".join(whole[:end]))
        assert await process.look(1) == ["one"]
    assert await process.look(1) == ["two"]
    assert await site.told("contain") == ["registered", "in_force"] * 2


async def test_a_file_that_no_longer_checks_leaves_its_last_good_version_in_force(site: Site) -> None:
    """Told as an error once, and again when it is wrong in another way; the others change as they like."""
    site.write("contain", playbook("one"))
    site.write("other", playbook("other"))
    process = site.process()
    await process.look()
    digest = process.playbooks[0].digest

    with capture_logs() as lines:
        site.write("contain", broken())
        site.write("other", playbook("another"))
        assert await process.look(4) == ["one", "another"]
    (refused,) = [line for line in lines if line["log_level"] == "error"]
    assert refused["event"] == "playbook.refused"
    assert refused["first"].endswith("contain.yaml:5:24: no action is named `notify.sent`; did you mean `notify.send`?")
    assert refused["kept"] == f"version {digest[7:19]} stays in force"
    body = await site.body("contain")
    assert (body["in_force"], body["errors"], body["findings"][0]["line"]) == (digest, 1, 5)

    with capture_logs() as lines:
        site.write("contain", "title: [")
        assert await process.look(4) == ["one", "another"]
    assert events(lines, "error") == ["playbook.refused"]
    assert await site.told("contain") == ["registered", "in_force", "refused", "refused"]


async def test_a_file_that_is_mended_is_told_whether_it_changed_or_not(site: Site) -> None:
    """Back to the version that was in force all the time, or on to a new one."""
    site.write("contain", playbook("one"))
    process = site.process()
    await process.look()
    for content in (broken(), playbook("one"), broken(), playbook("two")):
        site.write("contain", content)
        await process.look()
    assert process.titles == ["two"]
    told = ["registered", "in_force", "refused", "mended", "refused", "registered", "in_force"]
    assert await site.told("contain") == told
    assert await site.rows("SELECT name FROM tocsin.playbook_broken") == []


async def test_an_earlier_version_may_come_back(site: Site) -> None:
    """It is known already, and in force for a second time."""
    process = site.process()
    for title in ("one", "two", "one"):
        site.write("contain", playbook(title))
        await process.look()
    assert process.titles == ["one"]
    assert await site.told("contain") == ["registered", "in_force", "registered", "in_force", "in_force"]


async def test_a_restart_with_a_broken_file_serves_the_last_good_version(site: Site) -> None:
    """It is read from Postgres; the break is told to whoever starts, and recorded once."""
    site.write("contain", playbook("one"))
    await site.process().look()
    site.write("contain", broken())
    for _ in range(2):
        with capture_logs() as lines:
            assert await site.process().look() == ["one"]
        assert events(lines, "error") == ["playbook.refused"]
    assert await site.told("contain") == ["registered", "in_force", "refused"]


async def test_what_changed_while_nobody_looked_is_in_force_from_the_first_alert(site: Site) -> None:
    """The files come first: a process that has just started does not begin with the versions of yesterday."""
    site.write("contain", playbook("one"))
    site.write("other", playbook("other"))
    await site.process().look()
    site.write("contain", playbook("two"))
    site.remove("other")
    process = site.process()
    assert await process.look(1) == []
    assert await process.look(1) == ["two"]
    assert await site.told("other") == ["registered", "in_force", "removed"]


async def test_a_file_broken_at_the_first_start_stops_no_other(site: Site) -> None:
    """The good ones serve; the broken one is an error of the log, an event, and a row."""
    site.write("contain", playbook("one"))
    site.write("worse", broken())
    process = site.process()
    with capture_logs() as lines:
        assert await process.look() == ["one"]
    assert [(line["playbook"], line["kept"]) for line in lines if line["log_level"] == "error"] == [
        ("worse", "nothing is in force for it")
    ]
    assert await site.told("worse") == ["refused"]
    assert (await site.body("worse"))["in_force"] is None
    site.remove("worse")
    await process.look()
    assert await site.told("worse") == ["refused", "removed"]


async def test_nothing_good_at_all_keeps_intake_from_reading(site: Site) -> None:
    """Alerts wait in Kafka instead of being recorded as matching nothing, until there is a playbook to match."""
    site.write("contain", broken())
    process = site.process(poll_seconds=0.01)
    following = asyncio.create_task(process.follower.run())
    ready = asyncio.create_task(process.follower.ready())
    while await site.told("contain") != ["refused"]:  # noqa: ASYNC110 - another connection writes it
        await asyncio.sleep(0.01)
    assert not ready.done()
    site.write("contain", playbook("one"))
    assert await ready
    assert process.titles == ["one"]
    process.follower.stop()
    await following


async def test_stopping_ends_the_wait_for_playbooks(site: Site) -> None:
    """A process that is asked to end while it has none ends."""
    process = site.process(poll_seconds=0.01)
    following = asyncio.create_task(process.follower.run())
    ready = asyncio.create_task(process.follower.ready())
    process.follower.stop()
    assert not await ready
    await following


async def test_a_deleted_file_is_out_of_force_after_an_event(site: Site) -> None:
    """Its versions stay registered, since runs may be open on them."""
    site.write("contain", playbook("one"))
    site.write("other", playbook("other"))
    process = site.process()
    await process.look()
    site.remove("contain")
    with capture_logs() as lines:
        assert await process.look() == ["other"]
    assert events(lines, "warning") == ["playbook.removed"]
    assert await site.told("contain") == ["registered", "in_force", "removed"]
    assert len(await site.rows("SELECT name FROM tocsin.playbook_registered")) == 2
    site.write("contain", playbook("one"))
    assert await process.look() == ["one", "other"]


@pytest.mark.parametrize("gone", [shutil.rmtree, lambda folder: (folder / "contain.yaml").unlink()])
async def test_a_folder_that_is_gone_or_empty_takes_nothing_out_of_force(
    site: Site, gone: Callable[[Path], None]
) -> None:
    """That is how a volume looks that is not mounted: an error, told once, also after a restart."""
    site.write("contain", playbook("one"))
    process = site.process()
    await process.look()
    gone(site.folder)
    with capture_logs() as lines:
        assert await process.look(3) == ["one"]
        assert await site.process().look() == ["one"]
    assert events(lines, "error") == ["playbooks.folder"] * 2
    assert await site.told("contain") == ["registered", "in_force"]


async def test_a_file_with_another_name_is_another_playbook(site: Site) -> None:
    """Also with the same content: each name is registered, so that its runs are not refused."""
    site.write("contain", playbook("one"))
    process = site.process()
    await process.look()
    (site.folder / "contain.yaml").rename(site.folder / "stop.yaml")
    site.write("copy", playbook("one"))
    await process.look()
    assert [(one.name, one.title) for one in process.playbooks] == [("copy", "one"), ("stop", "one")]
    assert await site.told("stop") == await site.told("copy") == ["registered", "in_force"]
    assert await site.told("contain") == ["registered", "in_force", "removed"]


async def test_intakes_with_the_same_folder_agree_and_tell_each_change_once(site: Site) -> None:
    """Whichever sees it first records it."""
    processes = [site.process(by=f"host:{number}") for number in range(3)]
    site.write("contain", playbook("one"))
    await asyncio.gather(*(one.look() for one in processes))
    for content in (playbook("two"), broken(), playbook("three")):
        site.write("contain", content)
        await asyncio.gather(*(one.look(3) for one in processes))
    assert [one.titles for one in processes] == [["three"]] * 3
    told = ["registered", "in_force"] * 2 + ["refused"] + ["registered", "in_force"]
    assert await site.told("contain") == told


async def test_an_intake_whose_folder_is_late_matches_what_the_others_match(site: Site, tmp_path: Path) -> None:
    """It says that its folder differs, and neither undoes the change nor tells anything when its folder follows."""
    site.write("contain", playbook("one"))
    late = tmp_path / "late"
    shutil.copytree(site.folder, late)
    ahead, behind = site.process(), site.process(folder=late)
    await ahead.look()
    await behind.look()
    site.write("contain", playbook("two"))
    await ahead.look()
    with capture_logs() as lines:
        assert await behind.look(3) == ["two"]
    assert events(lines, "warning") == ["playbooks.folders_differ"]

    shutil.copytree(site.folder, late, dirs_exist_ok=True)
    assert await behind.look() == ahead.titles == ["two"]
    assert await site.told("contain") == ["registered", "in_force"] * 2


async def test_postgres_away_during_a_change_leaves_the_old_ones_in_force(site: Site, database: str) -> None:
    """Said once, tried again at every look; when it is back the change comes into force."""
    address = make_url(database)
    async with Gate(address.port or 0) as gate:
        engine = make_engine(address.set(port=gate.port).render_as_string(hide_password=False))
        process = site.process(engine=engine, poll_seconds=0.01)
        site.write("contain", playbook("one"))
        following = asyncio.create_task(process.follower.run())
        await process.follower.ready()
        with capture_logs() as lines:
            gate.shut()
            site.write("contain", playbook("two"))
            while gate.refused < 5:  # noqa: ASYNC110 - the follower tries again in its own time
                await asyncio.sleep(0.01)
            assert process.titles == ["one"]
            assert set(events(lines, "warning")) == {"playbooks.waiting"}
            assert len(lines) <= 2, "the connection that was lost, and those that are refused"
            gate.open()
            while process.titles != ["two"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        process.follower.stop()
        await following
        await engine.dispose()


async def test_who_follows_what_is_in_force_is_told_of_every_change_until_it_has_taken_it(site: Site) -> None:
    """All that is in force, at the start and after changes; again where it could not take it."""
    told: list[list[str]] = []
    away = [False, True, False]

    async def on_change(playbooks: Sequence[Playbook]) -> None:
        told.append([one.title for one in playbooks])
        if away.pop(0):
            raise Unavailable("Temporal is away")

    site.write("contain", playbook("one"))
    process = site.process(on_change=on_change)
    await process.look(4)
    site.write("contain", playbook("two"))
    await process.look(1)
    with pytest.raises(Unavailable):
        await process.look(1)
    assert process.titles == ["two"]
    await process.look(3)
    assert told == [["one"], ["two"], ["two"]]


async def test_a_recorded_version_that_this_release_cannot_run_stops_no_other(site: Site) -> None:
    """It is an error of the log; where the file here is good, that serves in its place."""
    document = {"title": "of tomorrow", "steps": [{"teleport": "host"}], "trigger": {"match": "true"}}
    version = {"digest": digest_of(document), "document": to_json(document)}
    site.write("contain", playbook("one"))
    site.write("other", playbook("other"))
    process = site.process()
    await process.look()
    await site.do(KEEP, **version)
    await site.do("INSERT INTO tocsin.playbook_registered VALUES ('contain', :digest)", digest=version["digest"])
    await site.do(
        "UPDATE tocsin.playbook_in_force SET digest = :digest WHERE name = 'contain'", digest=version["digest"]
    )
    with capture_logs() as lines:
        assert await process.look() == ["one", "other"]
    assert events(lines, "error") == ["playbook.not_loaded"]

    site.write("contain", broken())
    assert await site.process().look() == ["other"]


async def test_a_changed_sub_playbook_is_another_version_of_those_that_call_it(site: Site) -> None:
    """They come into force together, although only one file changed; a process that only follows has both too."""
    site.write("contain", caller("tell"))
    site.write("tell", called("one"))
    process = site.process()
    assert await process.look() == ["calls", "one"]
    site.write("tell", called("two"))
    assert await process.look() == ["calls", "two"]
    assert await site.told("contain") == ["registered", "in_force"] * 2
    (last,) = (await history(site.engine, "contain"))[-1].changes or ()
    assert last == {"kind": "changed", "part": "playbook tell"}

    site.write("contain", broken())
    site.write("tell", "title: [")
    follower = site.process()
    assert await follower.look() == ["calls", "two"]
    assert [one.digest for one in follower.playbooks] == [one.digest for one in process.playbooks]


async def test_a_broken_sub_playbook_leaves_the_last_good_version_of_its_callers_in_force(site: Site) -> None:
    """They are as broken as it is, and mended with it."""
    site.write("contain", caller("tell"))
    site.write("tell", called("one"))
    process = site.process()
    await process.look()
    for content in ("title: [", None):
        site.remove("tell") if content is None else site.write("tell", content)
        site.write("other", playbook(f"other {content}"))
        assert "calls" in await process.look()
        rows = await site.rows("SELECT name FROM tocsin.playbook_broken WHERE name = 'contain'")
        assert len(rows) == 1
        site.write("tell", called("one"))
        assert await process.look() == ["calls", f"other {content}", "one"]
        assert await site.rows("SELECT name FROM tocsin.playbook_broken") == []


async def test_what_stands_beside_the_playbooks_has_them_checked_again(site: Site) -> None:
    """A list of the site that comes mends the playbook that names it, without a change of its file."""
    types: dict[str, Any] = {"lists": {}, "calendars": {}}

    def check(reads: Sequence[Read]) -> Loaded:
        return CHECK(reads, site=types)

    site.write("contain", playbook("one"))
    site.write("listed", playbook("listed").replace('when: "false"', 'when: "alert.host.name in lists.servers"'))
    process = site.process(check=FolderCheck(check, beside=lambda: dict(types)))
    assert await process.look(3) == ["one"]
    types["lists"] = {"servers": tuple[str, ...]}
    assert await process.look(1) == ["one", "listed"]
    assert await site.told("listed") == ["refused", "registered", "in_force"]


async def test_a_check_that_breaks_off_is_made_again_at_the_next_look(site: Site) -> None:
    """Nothing of it is taken for known."""
    failing = [True]

    def check(reads: Sequence[Read]) -> Loaded:
        if failing:
            failing.pop()
            raise RuntimeError
        return CHECK(reads)

    site.write("contain", playbook("one"))
    process = site.process(check=FolderCheck(check))
    with pytest.raises(RuntimeError):
        await process.look(2)
    assert await process.look(1) == ["one"]


async def test_a_file_at_which_the_checker_itself_fails_is_broken_and_no_more(site: Site) -> None:
    """Whatever is in a file, the others serve."""

    class Odd(dict[str, Any]):
        def get(self, name: str, otherwise: Any = None) -> Any:
            if name == "odd.one":
                raise RecursionError
            return super().get(name, otherwise)

    check = partial(check_all, capabilities=Odd(scan().capabilities))
    site.write("contain", playbook("one"))
    site.write("odd", playbook("odd").replace("notify.send", "odd.one"))
    assert await site.process(check=FolderCheck(check)).look() == ["one"]
    assert (await site.body("odd"))["findings"][0]["message"].endswith("failed on this file: RecursionError")


async def test_files_that_are_no_files_or_have_odd_names_are_broken_and_no_more(site: Site) -> None:
    """Nothing in the folder waits for ever, and no name is too odd to be recorded."""
    site.write("contain", playbook("one"))
    os.mkfifo(site.folder / "pipe.yaml")
    (site.folder / "folder.yaml").mkdir()
    (site.folder / "dangling.yaml").symlink_to("nowhere")
    (site.folder / ".#contain.yaml").symlink_to("an-editor@host:1")
    site.write("Not A Name", playbook("name"))
    site.write("twice", playbook("twice"))
    (site.folder / "twice.yml").write_text(playbook("twice"))
    (site.folder / "latin.yaml").write_bytes(b"title: \xe4")
    with open(os.fsencode(site.folder) + b"/\xff.yaml", "wb") as file:  # noqa: PTH123, ASYNC230 - a name that is no text
        file.write(playbook("bytes").encode())
    assert await site.process().look() == ["one"]
    rows = await site.rows("SELECT name, findings->0->>'message' AS message FROM tocsin.playbook_broken ORDER BY name")
    assert {row.name: row.message.partition(":")[0] for row in rows} == {
        "Not A Name": "'Not A Name' cannot be a playbook's name",
        "\\udcff": "'\\\\udcff' cannot be a playbook's name",
        "dangling": "cannot be read",
        "folder": "cannot be read",
        "latin": "cannot be read",
        "pipe": "cannot be read",
        "twice": "there are two files for twice",
    }


async def test_many_playbooks_are_checked_beside_the_event_loop(site: Site) -> None:
    """Alerts go on meanwhile: no pause comes near the time that the check takes."""
    for number in range(60):
        site.write(f"p{number}", playbook(f"number {number}"))
    process = site.process()
    await process.look(1)
    pauses: list[float] = []

    async def tick() -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0)
            now = time.monotonic()
            pauses.append(now - last)
            last = now

    ticking = asyncio.create_task(tick())
    began = time.monotonic()
    assert len(await process.look(1)) == 60
    took = time.monotonic() - began
    ticking.cancel()
    assert max(pauses) < took / 5


async def test_only_what_changed_is_checked_again(site: Site) -> None:
    """One file of five hundred costs what one file costs."""
    read: list[str] = []

    def reading(reads: Sequence[Read]) -> Loaded:
        read.extend(one.name for one in reads)
        return CHECK(reads)

    for name in ("a", "b", "c"):
        site.write(name, playbook(name))
    process = site.process(check=FolderCheck(reading))
    await process.look(5)
    site.write("b", playbook("other"))
    await process.look(5)
    assert read == ["a", "b", "c", "b"]


def test_a_file_that_never_comes_to_rest_holds_up_no_other(tmp_path: Path) -> None:
    """The others count after some looks; it stays as it was before it became restless."""
    settling = Settling()
    quiet = {"restless": File("r", "0"), "other": File("o", "old")}
    settling.look(quiet)
    assert settling.look(quiet) == quiet
    seen = [
        settling.look({"restless": File("r", str(number)), "other": File("o", "new"), "fresh": File("f")})
        for number in range(1, Settling.PATIENCE + 1)
    ]
    assert seen[:-1] == [quiet] * (Settling.PATIENCE - 1)
    assert seen[-1] == {"restless": File("r", "0"), "other": File("o", "new"), "fresh": File("f")}


def test_a_change_is_seen_however_the_file_looks_from_outside(tmp_path: Path) -> None:
    """Also one that keeps the size and puts the time back. Only what has stood still for long is not read again."""
    file, folder = tmp_path / "contain.yaml", Folder(tmp_path)
    for content in ("one", "two", "six"):
        file.write_text(content)
        os.utime(file, (0, 0))
        assert folder.read()["contain"].text == content
    assert folder.read()["contain"] is not folder.read()["contain"]

    later = Folder(tmp_path, clock=lambda: time.time() + COARSEST_CLOCK)
    assert later.read()["contain"] is later.read()["contain"]
    file.write_text("ten")
    os.utime(file, (0, 0))
    assert later.read()["contain"].text == "ten"


def test_the_playbooks_that_ship_are_read_as_check_reads_them() -> None:
    """The same names, and no other file."""
    folder = Path(__file__).parent.parent.parent / "playbooks"
    assert set(Folder(folder).read()) == {path.stem for path in folder.glob("*.yaml")}
