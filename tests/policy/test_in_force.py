"""Which policy is in force, on a real Postgres: good ones come, broken ones change nothing, all of it on record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from orchestrator.audit.reading import about
from orchestrator.errors import Unavailable
from orchestrator.policy.follower import PolicyFollower
from orchestrator.policy.in_force import Recorded
from orchestrator.policy.modes import Asked
from orchestrator.policy.operators import NotAllowed, Operator
from orchestrator.policy.permission import permit
from orchestrator.policy.store import PolicyStore
from tests.policy.test_reading import KNOWN
from tests.versions.site import Site, playbook

LIVE = "title: Ours\nmodes:\n  site: live\n"
SHADOW = "title: Ours\nmodes:\n  site: shadow\n"


class Process:
    """One that follows the folder, as intake does."""

    def __init__(self, playbooks: Path, engine: AsyncEngine, by: str = "host:1") -> None:
        self.file = playbooks / "site" / "policy.yaml"
        self.store = PolicyStore(engine, by=by)
        self.follower = PolicyFollower(playbooks, self.store, lambda: KNOWN)

    def write(self, content: str) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(content)

    async def look(self, times: int = 2) -> bool:
        return [await self.follower.look() for _ in range(times)][-1]


@pytest.fixture
def process(tmp_path: Path, engine: AsyncEngine) -> Process:
    return Process(tmp_path, engine)


async def events(engine: AsyncEngine) -> list[tuple[str, dict[str, Any]]]:
    return [(one.type, one.body) for one in await about(engine, "policy")]


async def test_a_change_comes_into_force_once_it_stands_still_with_its_lines_on_record(
    process: Process, engine: AsyncEngine
) -> None:
    """Who found it, what was in force before, and which lines went and came."""
    door = Recorded(process.store, clock=iter(range(0, 1000, 10)).__next__)
    process.write(LIVE)
    assert await process.look(1) is False
    assert await process.look(1) is True
    first = await door.now()
    process.write(SHADOW)
    await process.look(1)
    assert (await door.now()).model.modes.site == "live"
    await process.look(1)

    second = await door.now()
    assert second.model.modes.site == "shadow"
    (_, begun), (kind, body) = await events(engine)
    assert (begun["was"], begun["lines"][-1]) == (None, "+  site: live")
    assert (kind, body["was"], body["digest"], body["by"]) == ("policy.in_force", first.digest, second.digest, "host:1")
    assert body["lines"] == ["@@ -3 +3 @@", "-  site: live", "+  site: shadow"]
    assert [one.until is None for one in await process.store.past()] == [True, False]


async def test_a_file_that_no_longer_checks_leaves_the_last_good_one_in_force(
    process: Process, engine: AsyncEngine
) -> None:
    """Told as an error and recorded, once; mended, it is well again, and a good change counts."""
    process.write(SHADOW)
    await process.look()
    with capture_logs() as lines:
        process.write(SHADOW.replace("site", "sight"))
        assert await process.look() is True
        await process.look()
    assert [one["event"] for one in lines if one["log_level"] == "error"] == ["policy.refused"]
    assert "`modes` has no `sight`; did you mean `site`?" in lines[-1]["first"]
    assert (await Recorded(process.store).now()).model.modes.site == "shadow"
    (broken,) = await process.store.broken()
    assert (broken["file"], broken["line"]) == (str(process.file), 3)

    process.write(SHADOW)
    await process.look()
    assert await process.store.broken() == []
    process.write(LIVE)
    await process.look()
    assert [kind for kind, _ in await events(engine)] == [
        "policy.in_force", "policy.refused", "policy.mended", "policy.in_force"
    ]  # fmt: skip


async def test_a_process_that_starts_with_a_broken_file_goes_on_with_the_last_good_one(
    process: Process, engine: AsyncEngine, tmp_path: Path
) -> None:
    """Where none ever was good nothing begins; mended, it begins."""
    process.write("modes: {}")
    assert await process.look(3) is False
    process.write(SHADOW)
    assert await process.look() is True

    process.write("modes: {}")
    later = Process(tmp_path, engine, by="host:2")
    assert await later.look() is True
    assert (await Recorded(later.store).now()).model.modes.site == "shadow"


async def test_a_file_that_is_gone_lifts_nothing(process: Process, engine: AsyncEngine, tmp_path: Path) -> None:
    """A folder that is not mounted looks like this. Who wants the defaults writes them; without any file they hold."""
    assert await process.look() is True
    assert (await Recorded(process.store).now()).digest is None
    process.write(SHADOW)
    await process.look()
    process.file.unlink()

    for one in (process, Process(tmp_path, engine)):
        assert await one.look() is True
        assert (await Recorded(one.store).now()).model.modes.site == "shadow"
    assert [body["message"] for body in await process.store.broken()] == [
        "the file is gone, and the policy that it held stays in force"
    ]

    process.write("title: The defaults\n")
    await process.look()
    assert (await Recorded(process.store).now()).model.modes.site == "live"


async def test_a_file_that_nobody_would_read_is_a_mistake(process: Process) -> None:
    """A policy that is missed allows much."""
    process.write(LIVE)
    await process.look()
    stray = process.file.with_name("policy.yml")
    stray.write_text(SHADOW)
    await process.look()
    assert [one["message"] for one in await process.store.broken()] == ["only policy.yaml is read here"]
    stray.unlink()
    await process.look()
    assert await process.store.broken() == []


async def test_no_playbook_comes_into_force_before_the_policy_does(tmp_path: Path, engine: AsyncEngine) -> None:
    """A new one would run live for a moment, where the policy says that it starts in shadow."""
    site = Site(tmp_path / "playbooks", engine)
    policy = Process(site.folder, engine)
    site.write("contain", playbook("one"))
    policy.write("modes: {}")
    intake = site.process(before=policy.follower.look)
    assert await intake.look(3) == []

    policy.write("title: Ours\nnew_playbooks: shadow\n")
    assert await intake.look(1) == []
    assert await intake.look(2) == ["one"]
    assert (await Recorded(policy.store).ruled(Asked("contain"))).mode.mode == "shadow"


async def test_two_processes_with_one_folder_record_a_change_once(
    process: Process, engine: AsyncEngine, tmp_path: Path
) -> None:
    """Whoever sees it first."""
    other = Process(tmp_path, engine, by="host:2")
    process.write(LIVE)
    assert [await process.look(), await other.look()] == [True, True]
    assert [kind for kind, _ in await events(engine)] == ["policy.in_force"]


async def test_a_policy_of_another_release_holds_up_what_changes_something(engine: AsyncEngine) -> None:
    """Nobody knows what it forbids. The kill switch can be thrown all the same, and nothing else be done by hand."""
    async with engine.begin() as connection:
        await connection.execute(
            text("INSERT INTO tocsin.policy_in_force (digest, file, content, by) VALUES ('x', 'p', 'later: {}', 'y')")
        )
    with pytest.raises(Unavailable, match="cannot be read by this release"):
        await Recorded(PolicyStore(engine)).now()
    await permit(engine, Operator("alice"), "kill", "all")
    with pytest.raises(Unavailable):
        await permit(engine, Operator("alice"), "lift", "all")


async def test_who_is_refused_stands_in_the_audit_with_the_line(process: Process, engine: AsyncEngine) -> None:
    """And who may leaves no trace but that of what he does."""
    process.write("title: Ours\nmay:\n  release: {people: [alice]}\n")
    await process.look()
    await permit(engine, Operator("alice"), "release", "ip:192.0.2.1")
    with pytest.raises(NotAllowed, match="who may: alice"):
        await permit(engine, Operator("mallory"), "release", "ip:192.0.2.1")

    (one,) = await about(engine, "ip:192.0.2.1")
    assert (one.type, one.body["what"], one.body["by"], one.body["trust"]) == (
        "operator.refused", "release", "mallory", "unverified"
    )  # fmt: skip
    assert one.body["line"] == f"{process.file}:3: may.release is for alice"
