"""Files that change while alerts come, on the real Kafka, Temporal and Postgres."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.bootstrap import Tocsin, connected
from orchestrator.cli.serve import running
from orchestrator.local.endpoints import Endpoints, current_endpoints
from orchestrator.local.lab import Lab
from orchestrator.settings import Settings
from orchestrator.workflow.questions import Questions
from tests.versions.site import Site, broken, called, caller, playbook
from tests.workflow.bench import eventually

WORKER = ("worker",)
INTAKE = ("intake",)


class Alerts:
    """Alerts on the topic that intake reads, numbered; the topic's name keeps the ids of tests apart."""

    def __init__(self, settings: Settings, stack: Endpoints) -> None:
        self._producer = Producer({"bootstrap.servers": stack.kafka, "log_level": 0})
        self._topic = settings.kafka.topics.alerts
        self.sent = 0

    def send(self, count: int = 1) -> range:
        """Send so many; their numbers."""
        numbers = range(self.sent, self.sent + count)
        for number in numbers:
            name = f"{self._topic}/{number}"
            alert = {"id": name, "time": "2026-05-06T10:00:00Z", "severity": "high", "title": name}
            self._producer.produce(self._topic, json.dumps({**alert, "product": {"name": "test"}}))
        assert self._producer.flush(20) == 0
        self.sent += count
        return numbers


class Serving(Site):
    """A site whose processes run, in this process."""

    def __init__(self, settings: Settings, stack: Endpoints, engine: AsyncEngine, lab: Lab, folder: Path) -> None:
        super().__init__(folder, engine)
        self.alerts = Alerts(settings, stack)
        intake = settings.intake.model_copy(
            update={"group": f"group-{settings.temporal.task_queue}", "look_seconds": 0.05}
        )
        self.settings = settings.model_copy(
            update={
                "playbooks": folder,
                "intake": intake,
                "integrations": {"lab": {"url": lab.url, "token": lab.token}},
            }
        )

    @asynccontextmanager
    async def running(self, roles: Sequence[str], **changes: Any) -> AsyncIterator[Tocsin]:
        """These roles with clients of their own, ended at the end."""
        settings, stop = self.settings.model_copy(update=changes), asyncio.Event()
        async with connected(settings, current_endpoints(settings)) as tocsin:
            task = asyncio.create_task(running(tocsin, roles, stop))
            try:
                yield tocsin
            finally:
                stop.set()
                await task

    async def in_force(self, name: str, title: str) -> None:
        """Wait until this version is in force."""
        query = """
            SELECT 1 FROM tocsin.playbook_in_force f JOIN tocsin.playbook_version v USING (digest)
            WHERE f.name = :name AND until IS NULL AND document->>'title' = :title
        """
        await eventually(lambda: self.rows(query, name=name, title=title))

    async def versions(self, *, state: str = "succeeded") -> dict[int, str]:
        """The titles of the versions that the runs in this state are on, by the numbers of their alerts."""
        query = """
            SELECT a.id, v.document->>'title' AS title FROM tocsin.run r
            JOIN tocsin.playbook_version v USING (digest) JOIN tocsin.alert a ON a.key = r.event WHERE state = :state
        """
        return {int(row.id.rpartition("/")[2]): row.title for row in await self.rows(query, state=state)}

    async def ran(self, count: int, *, state: str = "succeeded") -> dict[int, str]:
        """The same, once there are so many."""

        async def look() -> dict[int, str] | None:
            found = await self.versions(state=state)
            return found if len(found) >= count else None

        return dict(await eventually(look, within=60))


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path / "lab") as lab:
        yield lab


@pytest.fixture
def serving(settings: Settings, stack: Endpoints, engine: AsyncEngine, lab: Lab, tmp_path: Path) -> Serving:
    return Serving(settings, stack, engine, lab, tmp_path / "playbooks")


async def test_the_next_alert_starts_the_new_version_and_the_open_run_stays_on_its_own(serving: Serving) -> None:
    """Also in the eyes of a worker that knows no folder of playbooks: runs bring their document with them."""
    serving.write("contain", playbook("one", asks=True))
    nowhere = serving.folder / "nowhere"
    async with serving.running(WORKER, playbooks=nowhere) as tocsin, serving.running(INTAKE):
        serving.alerts.send()
        assert await serving.ran(1, state="running") == {0: "one"}
        questions = Questions(serving.engine)
        (asked,) = await eventually(questions.listed)

        serving.write("contain", playbook("two"))
        await serving.in_force("contain", "two")
        serving.alerts.send()
        assert await serving.ran(1) == {1: "two"}

        handle = tocsin.temporal.get_workflow_handle(asked.workflow_id)
        await handle.signal("approve", {"step": asked.step, "digest": asked.digest, "by": "alice"})
        assert await serving.ran(2) == {0: "one", 1: "two"}
    blocks = await serving.rows("SELECT playbook, digest FROM tocsin.action WHERE capability = 'firewall.block_ip'")
    assert len(blocks) == 1, "the step that only the first version has"
    assert not nowhere.exists()


async def test_a_broken_file_stops_no_alert_not_even_after_a_restart(serving: Serving) -> None:
    """The last good version runs on; the one that is broken from the beginning harms nobody."""
    serving.write("contain", playbook("one"))
    async with serving.running(WORKER):
        async with serving.running(INTAKE):
            await serving.in_force("contain", "one")
            serving.write("contain", broken())
            serving.write("worse", broken())
            await eventually(lambda: serving.rows("SELECT name FROM tocsin.playbook_broken WHERE name = 'worse'"))
            serving.alerts.send()
            await serving.ran(1)
        async with serving.running(INTAKE):
            serving.alerts.send()
            assert await serving.ran(2) == {0: "one", 1: "one"}


async def test_alerts_wait_in_kafka_while_there_is_no_playbook_to_match(serving: Serving) -> None:
    """One typo in the only file, at the first start: intake stays, and begins when it is mended."""
    serving.write("contain", broken())
    async with serving.running(("intake", "worker", "keeper")):
        serving.alerts.send(3)
        await eventually(lambda: serving.rows("SELECT name FROM tocsin.playbook_broken"))
        serving.write("contain", playbook("one"))
        assert await serving.ran(3) == {0: "one", 1: "one", 2: "one"}
    assert await serving.rows("SELECT * FROM tocsin.unmatched") == []


async def test_a_process_without_playbooks_ends_when_it_is_asked_to(serving: Serving) -> None:
    """It waits for nothing that could hold up its end."""
    async with serving.running(("intake", "worker", "keeper")):
        pass


async def test_a_deleted_playbook_starts_nothing_and_a_renamed_one_runs(serving: Serving) -> None:
    """A run under the new name is not refused, though the content is known under the old one."""
    serving.write("contain", playbook("one"))
    serving.write("gone", playbook("gone"))
    async with serving.running(WORKER), serving.running(INTAKE):
        await serving.in_force("gone", "gone")
        serving.remove("gone")
        (serving.folder / "contain.yaml").rename(serving.folder / "stop.yaml")
        await serving.in_force("stop", "one")
        await eventually(lambda: serving.rows("SELECT 1 FROM tocsin.playbook_in_force WHERE until IS NOT NULL"))
        serving.alerts.send()
        assert await serving.ran(1) == {0: "one"}
    assert [row.playbook for row in await serving.rows("SELECT playbook FROM tocsin.run")] == ["stop"]
    assert await serving.rows("SELECT * FROM tocsin.audit_event WHERE type = 'run.refused'") == []


async def test_a_sub_playbook_runs_under_each_name_that_its_content_has(serving: Serving) -> None:
    """Registered under both, whichever of the two files was first."""
    serving.write("contain", caller("tell-second"))
    serving.write("tell-first", called("tells"))
    serving.write("tell-second", called("tells"))
    async with serving.running(WORKER), serving.running(INTAKE):
        serving.alerts.send()
        await eventually(lambda: serving.rows("SELECT 1 FROM tocsin.run WHERE state = 'succeeded' HAVING count(*) = 2"))
    runs = await serving.rows("SELECT playbook FROM tocsin.run ORDER BY playbook")
    assert [row.playbook for row in runs] == ["contain", "tell-second"]


async def test_two_intakes_under_load_lose_and_double_nothing_while_files_change(serving: Serving) -> None:
    """Every alert has one run, on one of the versions, and soon after a change both start the new one alone."""
    serving.write("contain", playbook("version 0"))
    async with serving.running(WORKER), serving.running(INTAKE), serving.running(INTAKE):
        await serving.in_force("contain", "version 0")
        for number in range(1, 6):
            serving.alerts.send(10)
            serving.write("contain", playbook(f"version {number}"))
            serving.alerts.send(10)
            await serving.in_force("contain", f"version {number}")
        await serving.ran(100)

        async def both_start_the_newest() -> bool:
            last = serving.alerts.send(8)
            found = await serving.ran(serving.alerts.sent)
            return {found[number] for number in last} == {"version 5"}

        await eventually(both_start_the_newest)
        found = await serving.ran(serving.alerts.sent)
    assert set(found) == set(range(serving.alerts.sent))
    assert set(found.values()) <= {f"version {number}" for number in range(6)}
    claims = await serving.rows("SELECT how, count(*) AS claims FROM tocsin.claim GROUP BY how")
    assert [(row.how, row.claims) for row in claims] == [("started", serving.alerts.sent)]
    assert await serving.rows("SELECT * FROM tocsin.audit_event WHERE type = 'run.refused'") == []
    assert len(await serving.rows("SELECT * FROM tocsin.audit_event WHERE type = 'playbook.in_force'")) == 6
