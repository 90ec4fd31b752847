"""Playbooks that start by the clock: each has a Schedule in Temporal that follows the version in force."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from orchestrator.errors import Unavailable
from orchestrator.language.cron import parse_cron
from orchestrator.language.program import Playbook
from orchestrator.workflow.messages import RunStart
from orchestrator.workflow.search_attributes import of_run
from orchestrator.workflow.start import priority_of
from orchestrator.workflow.visible import one_line

log = structlog.get_logger()
PREFIX = "tocsin/"
SEVERITY = "informational"
TAKEN = "another site on this namespace has a schedule of this name: each site needs a namespace of its own"
CATCH_UP = {"skip": timedelta(minutes=1), "run": timedelta(days=365)}
"""how late a start may be, by what becomes of one that was missed"""


class Schedules:
    """The schedules of the playbooks in force. Following them again changes nothing."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def follow(self, playbooks: Sequence[Playbook]) -> None:
        """Make, change and remove schedules so that they are those of these playbooks; raises `Unavailable`."""
        wanted = {f"{PREFIX}{one.name}": one for one in playbooks if one.model.trigger.schedule is not None}
        try:
            for name in [name async for name in self._known() if name not in wanted]:
                await self._remove(name)
            for name, playbook in wanted.items():
                await self._put(name, playbook)
        except RPCError as error:
            raise Unavailable(f"Temporal does not take the schedules now: {error.message}") from error

    async def _known(self) -> AsyncIterator[str]:
        async for one in await self._client.list_schedules():
            if one.id.startswith(PREFIX) and one.schedule is not None:
                described = await self._client.get_schedule_handle(one.id).describe()
                if self._ours(described.schedule):
                    yield one.id

    async def _remove(self, name: str) -> None:
        try:
            await self._client.get_schedule_handle(name).delete()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # another intake was first
                raise

    async def _put(self, name: str, playbook: Playbook) -> None:
        made = schedule_of(playbook, self._task_queue)
        try:
            await self._client.create_schedule(name, made)
        except ScheduleAlreadyRunningError:

            def update(there: ScheduleUpdateInput) -> ScheduleUpdate | None:
                if not self._ours(there.description.schedule):
                    log.error("schedule.taken", schedule=name, why=TAKEN)
                    return None
                # who has paused it in Temporal wants it so
                return ScheduleUpdate(replace(made, state=there.description.schedule.state))

            await self._client.get_schedule_handle(name).update(update)

    def _ours(self, schedule: Schedule) -> bool:
        """Those of other sites on the same namespace have another task queue."""
        action = schedule.action
        return isinstance(action, ScheduleActionStartWorkflow) and action.task_queue == self._task_queue


def schedule_of(playbook: Playbook, task_queue: str) -> Schedule:
    """The schedule of a playbook; Temporal adds the time of each start to the id of its run."""
    wanted = playbook.model.trigger.schedule
    assert wanted is not None  # noqa: S101 - asked by the caller
    start = RunStart(
        run=f"{playbook.name}/c",
        playbook=playbook.name,
        digest=playbook.digest,
        document=playbook.document,
        bundle=playbook.bundle,
        mode=playbook.model.mode,
        how="schedule",
        alert_key=f"schedule/{playbook.name}",
        severity=SEVERITY,
        reason={"cron": wanted.cron, "tz": wanted.tz},
    )
    action = ScheduleActionStartWorkflow(
        playbook.name,
        start,
        id=f"{playbook.name}/c",
        task_queue=task_queue,
        static_summary=f"scheduled: {one_line(playbook.title)}"[:190],
        typed_search_attributes=of_run(playbook.name, SEVERITY, playbook.model.mode),
        priority=priority_of(playbook.document),
    )
    return Schedule(
        action=action,
        spec=ScheduleSpec(cron_expressions=[_spelled(wanted.cron)], time_zone_name=wanted.tz),
        # a run that waits for people must not keep the next one from starting; `concurrency` is the playbook's word
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL, catchup_window=CATCH_UP[wanted.missed]),
    )


def _spelled(cron: str) -> str:
    """As the server cannot misread it; what an earlier release let pass stays what it is."""
    try:
        return parse_cron(cron).spelled
    except ValueError:
        return cron
