"""A worker, a starter and a target in this process, on the real Temporal and the real Postgres."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle

from orchestrator.actions.acting import Acting
from orchestrator.actions.catalog import scan
from orchestrator.actions.ledger import Ledger, PostgresLedger
from orchestrator.actions.maintenance import Maintenance
from orchestrator.actions.modes import Modes
from orchestrator.actions.pace import Pace
from orchestrator.actions.site_lists import SiteNow, site_lists
from orchestrator.alerts.alert import Alert
from orchestrator.alerts.record import Batch, PostgresRecorder, Received
from orchestrator.alerts.requests import StartRequest
from orchestrator.audit.events import to_json
from orchestrator.audit.reading import about
from orchestrator.language.never_touch import NeverTouchList
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ReferenceData
from orchestrator.matching.choose import PlaybooksInForce
from orchestrator.policy.in_force import PolicyInForce
from orchestrator.settings import WorkerSettings
from orchestrator.workflow.above import AboveBudgets
from orchestrator.workflow.activities import Activities
from orchestrator.workflow.approval import People, names
from orchestrator.workflow.claims import Claims
from orchestrator.workflow.questions import ApprovalRow, Questions
from orchestrator.workflow.start import TemporalStarter
from orchestrator.workflow.turns import Turns
from orchestrator.workflow.worker import make_worker
from tests.actions.bench_target import Target, acting
from tests.policy.written import door

CATALOG = scan()
NOBODY: People = names([])
_numbers = itertools.count(1)

REGISTER = text("""
INSERT INTO tocsin.playbook_version (digest, name, document, source)
VALUES (:digest, :name, CAST(:document AS jsonb), 'bench.yaml') ON CONFLICT DO NOTHING
""")


def playbook(
    steps: Sequence[dict[str, Any]], *, name: str = "contain", uses: Sequence[Playbook] = (), **more: Any
) -> Playbook:
    """A playbook of these steps, started by any alert; `key`, `join` and `joins` go to its trigger."""
    trigger = {"match": "true", **{word: more.pop(word) for word in ("key", "join", "joins", "match") if word in more}}
    trigger = more.pop("trigger", trigger)
    document = {"title": "A test", "trigger": trigger, "steps": list(steps), **more}
    return Playbook(name, document, {one.name: one for one in uses})


def look_up(step: str = "look", **more: Any) -> dict[str, Any]:
    """A step that reads."""
    return {"id": step, "action": "intel.lookup_ip", "with": {"ip": "203.0.113.7"}, **more}


def block(step: str = "block", ip: str = "203.0.113.7", **more: Any) -> dict[str, Any]:
    """A step that changes something."""
    return {"id": step, "action": "firewall.block_ip", "with": {"ip": ip}, "for": "1h", **more}


def ticket(step: str = "ticket", title: str = "{{ alert.title }}", **more: Any) -> dict[str, Any]:
    """A step that says something."""
    return {"id": step, "action": "ticket.open", "with": {"title": title, "body": "..."}, **more}


def ask(step: str = "sure", covers: Sequence[str] = ("block",), **more: Any) -> dict[str, Any]:
    """A step that asks people."""
    return {"id": step, "approval": {"ask": "Block it?", "covers": list(covers), "within": "1h", **more}}


def an_alert(**changes: Any) -> Alert:
    """An alert with an id of its own."""
    number = next(_numbers)
    fixed: dict[str, Any] = {
        "id": f"alert-{number}", "key": f"lab/alert-{number}", "time": datetime(2026, 5, 6, tzinfo=UTC),
        "severity": "high", "title": f"Alert {number}", "product": {"name": "lab"},
    }  # fmt: skip
    return Alert.model_validate(fixed | changes)


async def events_with_a_finished_task(handle: WorkflowHandle[Any, Any]) -> Sequence[Any]:
    """The run's history, or nothing: what a run does shows before the task in which it did it has ended."""
    events = (await handle.fetch_history()).events
    return events if any(one.HasField("workflow_task_completed_event_attributes") for one in events) else []


@dataclass
class Bench:
    """What a test needs of the whole."""

    client: Client
    engine: AsyncEngine
    task_queue: str
    people: People = NOBODY
    target: Target = field(default_factory=Target)
    eager: bool = True
    cached: int = 100
    ledger: Ledger | None = None
    site: dict[str, Any] = field(default_factory=dict)
    own: SiteNow | None = None
    integrations: dict[str, dict[str, Any]] = field(default_factory=lambda: {"bench": {}})
    never_touch: Callable[[], tuple[NeverTouchList, ...]] = tuple
    policy: PolicyInForce | None = None
    reference: ReferenceData = field(default_factory=ReferenceData)

    def __post_init__(self) -> None:
        self.policy = self.policy or door(self.engine, forgetful=True)
        self.modes = Modes(self.policy)
        self.starter = TemporalStarter(self.client, self.task_queue, eager=self.eager, modes=self.modes)
        self.questions = Questions(self.engine)
        self.recorder = PostgresRecorder(self.engine)

    def acting(self) -> Acting:
        """What acts on the target, and takes back."""
        products = {"site_lists": site_lists(self.own)} if self.own else {}
        ledger = self.ledger or PostgresLedger(self.engine)
        assert self.policy is not None
        more: dict[str, Any] = {
            "policy": self.policy, "reference": lambda: self.reference, "products": products,
            "integrations": {**self.integrations, **{name: {} for name in products}},
            "pace": Pace(self.engine, self.policy),
            "maintenance": Maintenance(self.engine, self.policy, lambda: self.reference),
        }  # fmt: skip
        return acting(CATALOG, ledger, self.target, lists=self.never_touch, **more)

    def activities(self) -> Activities:
        """The activities, on the target."""
        made = self.acting()
        return Activities(
            client=self.client,
            gateway=made.gateway,
            undoing=made.undoing,
            claims=Claims(self.engine),
            questions=self.questions,
            people=self.people,
            turns=Turns(self.client, self.engine),
            site=self._site,
            modes=self.modes,
            above=AboveBudgets(self.engine, made.gateway.as_asked),
        )

    async def _site(self, names: Collection[str]) -> dict[str, Any]:
        return await self.own.snapshot(names) if self.own else self.site

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """A worker for as long as the block runs."""
        settings = WorkerSettings(max_cached_runs=self.cached, graceful_seconds=0)
        async with make_worker(self.client, self.task_queue, self.activities(), settings):
            yield

    async def register(self, made: Playbook) -> None:
        """Make the playbook known with those that it calls, as intake does when it starts."""
        for sub in made.uses.values():
            await self.register(sub)
        async with self.engine.begin() as connection:
            row = {"digest": made.digest, "name": made.name, "document": to_json(made.document)}
            await connection.execute(REGISTER, row)

    async def requests(self, made: Playbook, *alerts: Alert) -> list[StartRequest]:
        """What intake would ask for, recorded as it does before it starts anything."""
        await self.register(made)
        in_force = PlaybooksInForce([made])
        received = []
        for one in alerts:
            asked = tuple(chosen.request(one) for chosen in in_force.choose(one))
            received.append(Received(one, one.model_dump_json().encode(), "t", 0, 0, (), asked))
        await PostgresRecorder(self.engine).record(Batch(received=received))
        return [request for one in received for request in one.requests]

    async def start(self, made: Playbook, *alerts: Alert) -> WorkflowHandle[Any, Any]:
        """Start a run for these alerts, which share a workflow id; an alert of its own where none is given."""
        requests = await self.requests(made, *(alerts or (an_alert(),)))
        await self.starter.start(requests)
        return self.client.get_workflow_handle(requests[0].workflow_id)

    async def run(self, made: Playbook, *alerts: Alert) -> Any:
        """Start a run and wait for its end."""
        return await (await self.start(made, *alerts)).result()

    async def asked(self, handle: WorkflowHandle[Any, Any], step: str = "sure") -> ApprovalRow:
        """The question of a step, once it waits."""

        async def look() -> ApprovalRow | None:
            rows = await self.questions.listed(handle.id)
            return next((row for row in rows if row.step == step and row.state == "waiting"), None)

        return await eventually(look)

    async def answer(self, handle: WorkflowHandle[Any, Any], signal: str, row: ApprovalRow, **more: Any) -> None:
        """Send an answer, as the Temporal UI does."""
        await handle.signal(signal, {"step": row.step, "digest": row.digest, "by": "alice", **more})

    async def reset(self, handle: WorkflowHandle[Any, Any], *, last: bool = False) -> WorkflowHandle[Any, Any]:
        """Reset the run to its first finished task, once there is one, or to the last one before the first Signal."""
        events = await eventually(lambda: events_with_a_finished_task(handle))
        signals = [one.event_id for one in events if one.HasField("workflow_execution_signaled_event_attributes")]
        done = [event.event_id for event in events if event.HasField("workflow_task_completed_event_attributes")]
        started = [event.event_id for event in events if event.HasField("workflow_task_started_event_attributes")]
        point = max(one for one in done if one < signals[0]) if last else started[0] + 1
        answer = await self.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.result_run_id or ""),
                reason="a test",
                workflow_task_finish_event_id=point,
                request_id=f"{handle.id}-{point}",
            )
        )
        return self.client.get_workflow_handle(handle.id, run_id=answer.run_id)

    async def judged(self, handle: WorkflowHandle[Any, Any], count: int = 1) -> list[tuple[str, str]]:
        """The verdicts and reasons of all answers, once there are so many."""

        async def look() -> list[tuple[str, str]] | None:
            answers = await self.questions.answers_after(handle.id, 0)
            return [(one["verdict"], one["reason"]) for one in answers] if len(answers) >= count else None

        return await eventually(look)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """Rows of the database."""
        async with self.engine.connect() as connection:
            return list((await connection.execute(text(query), values)).all())

    async def told(self, name: str) -> list[str]:
        """The types of the audit's events about a run, a workflow or an alert."""
        return [one.type for one in await about(self.engine, name)]

    async def claims(self) -> dict[str, tuple[str, str]]:
        """Every claim: how, and by which run's alert."""
        rows = await self.rows("SELECT alert_key, how, run FROM tocsin.claim")
        return {row.alert_key: (row.how, row.run.rsplit("/", 1)[-1]) for row in rows}


async def eventually(look: Callable[[], Awaitable[Any]], *, within: float = 20.0) -> Any:
    """What `look` gives as soon as it gives something; fails after so many seconds."""
    deadline = asyncio.get_running_loop().time() + within
    while not (found := await look()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within:g} s: {look.__qualname__}")
        await asyncio.sleep(0.02)
    return found


async def metadata(handle: WorkflowHandle[Any, Any]) -> str:
    """The run's current details, as the Temporal UI asks for them."""
    answer = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return answer.current_details


def keys(alerts: Iterable[Alert]) -> list[str]:
    """The keys of alerts."""
    return [alert.key for alert in alerts]
