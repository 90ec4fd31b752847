"""When schedules come: what the checker reckons with is what the real Temporal says, and does."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from random import Random
from typing import Any

import pytest
from temporalio.client import ScheduleBackfill, ScheduleOverlapPolicy, ScheduleState

from orchestrator.language.calendars import Calendar, zone
from orchestrator.language.cron import is_of_change, parse_cron
from orchestrator.language.expressions import compile_value
from orchestrator.language.program import Playbook
from orchestrator.workflow.schedules import Schedules, schedule_of
from tests.workflow.bench import Bench, eventually, playbook, ticket

ZONES = (
    *("Europe/Amsterdam", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe"),
    *("America/Santiago", "Africa/Cairo", "Asia/Tokyo", "UTC"),
)
OVER_A_CHANGE = (
    *("0 8 25-31 3,10 0", "0 8 1-7 3,4,10,11 sun", "0 4 * 3,10 0,6", "59 23 24-31 mar,oct *"),
    *("0 0 * 4,9 *", "15 12 * * 7", "*/20 9 29 2 *", "0 8 1-7 * mon", "5/25 6-8,20 * feb-may/2 1-5/2"),
)


def weekly(cron: str, tz: str = "UTC", **more: Any) -> Playbook:
    """A playbook that starts by the clock."""
    return playbook([ticket(title="Weekly")], name="weekly", trigger={"schedule": {"cron": cron, "tz": tz, **more}})


def some_cron(rng: Random) -> str:
    """Any schedule that the checker takes."""

    def field(low: int, high: int, words: str = "") -> str:
        names = words.split()
        one = lambda: rng.choice(names) if names and rng.random() < 0.3 else str(rng.randint(low, high))  # noqa: E731
        first, last = sorted(rng.sample(range(low, high + 1), 2))
        forms = ("*", "*", "*", one(), f"{first}-{last}", f"*/{rng.randint(1, high)}", f"{first}/7", f"{one()},{one()}")
        return rng.choice((*forms, f"{first}-{last}/{rng.randint(1, 5)}"))

    months = "jan Feb mar apr may jun jul aug SEP oct nov dec"
    fields = (
        field(0, 59),
        field(0, 23),
        field(1, 28),
        field(1, 12, months),
        field(0, 7, "sun mon TUE wed thu fri sat"),
    )
    return " ".join(fields)


async def coming(bench: Bench, name: str, cron: str, tz: str) -> list[datetime]:
    """The times that the server names next."""
    made = schedule_of(weekly(cron, tz), bench.task_queue)
    made.state = ScheduleState(paused=True)
    handle = await bench.client.create_schedule(f"{bench.task_queue}/{name}", made)
    try:
        return list((await handle.describe()).info.next_action_times)
    finally:
        await handle.delete()


def by_the_wall(times: Iterable[datetime], tz: str, *, changes: bool) -> list[datetime]:
    """What the clock of a zone shows then; without the days on which it is changed where these are not asked for."""
    shown = (one.astimezone(zone(tz)) for one in times)
    return [one.replace(tzinfo=None) for one in shown if changes or not is_of_change(one.date(), zone(tz))]


def reckoned(cron: str, tz: str, since: datetime, until: datetime) -> Iterable[datetime]:
    """The times that the checker reckons with."""
    return takewhile(lambda one: one <= until, parse_cron(cron).coming(zone(tz), since))


async def test_the_checker_reckons_as_the_server_does(bench: Bench) -> None:
    """Which times come, over changes of the clock in both halves of the year; also of schedules that chance makes.

    Of these on other days than those of a change: there the server's times are those that the checker warns of.
    """
    seed = secrets.randbelow(1_000_000)
    rng = Random(seed)  # noqa: S311 - a seed that a failure names
    over = [(cron, tz) for cron in OVER_A_CHANGE for tz in ZONES[:4]]
    asked = [*over, *((some_cron(rng), rng.choice(ZONES)) for _ in range(20))]
    before = datetime.now(UTC)
    answers = await asyncio.gather(*(coming(bench, str(number), *one) for number, one in enumerate(asked)))
    offsets = 0
    for number, ((cron, tz), told) in enumerate(zip(asked, answers, strict=True)):
        changes = number < len(over)
        # the server was asked a little later
        ours = [
            by_the_wall(reckoned(cron, tz, at, told[-1]), tz, changes=changes) for at in (before, datetime.now(UTC))
        ]
        assert by_the_wall(told, tz, changes=changes) in ours, f"seed {seed}: {cron} {tz}"
        offsets += len({one.astimezone(zone(tz)).utcoffset() for one in told}) > 1
    assert offsets >= 10


async def test_every_day_of_the_week_is_every_day_however_it_is_written(bench: Bench) -> None:
    """The server, told `1-7` as it stands, would never start anything on a Sunday."""
    for days in ("1-7", "0-6", "mon-sat,sun", "0-7"):
        told = await coming(bench, days, f"0 8 * * {days}", "UTC")
        assert {one.isoweekday() for one in told} == set(range(1, 8)), days


async def test_a_time_that_the_clock_leaves_out_does_not_come(bench: Bench) -> None:
    """On the last Sunday of March there is no half past two in Amsterdam; in October there is one run, not two."""
    assert await coming(bench, "march", "30 2 25-31 3 0", "Europe/Amsterdam") == []
    october = await coming(bench, "october", "30 2 25-31 10 0", "Europe/Amsterdam")
    assert len({one.date() for one in october}) == len(october) == 10


async def test_eight_o_clock_stays_eight_o_clock_over_a_change(bench: Bench) -> None:
    """Runs of four days around the end of summer time: each at its time, inside the hours of the site's calendar."""
    made = weekly("0 8 * * *", "Europe/Amsterdam")
    await bench.register(made)
    schedules = Schedules(bench.client, bench.task_queue)
    await schedules.follow([made])
    handle = bench.client.get_schedule_handle("tocsin/weekly")
    first, last = datetime(2025, 10, 24, tzinfo=UTC), datetime(2025, 10, 28, tzinfo=UTC)
    async with bench.worker():
        await handle.backfill(ScheduleBackfill(first, last, overlap=ScheduleOverlapPolicy.ALLOW_ALL))
        query = "SELECT event FROM tocsin.run WHERE state = 'succeeded' ORDER BY event OFFSET 3"
        await eventually(lambda: bench.rows(query))
        rows = await bench.rows("SELECT event FROM tocsin.run ORDER BY event")
    await schedules.follow([])
    times = [datetime.fromisoformat(row.event.removeprefix("schedule/weekly.")) for row in rows]
    open_at_eight = Calendar.model_validate(
        {
            "tz": "Europe/Amsterdam",
            "hours": {day: [["08:00", "08:01"]] for day in ("friday", "saturday", "sunday", "monday")},
        }
    )

    assert [f"{one:%d %H:%M}" for one in times] == ["24 06:00", "25 06:00", "26 07:00", "27 07:00"]
    assert all(open_at_eight.contains(one) for one in times)
    said = compile_value('now() | format_time("%H:%M", "Europe/Amsterdam")')
    assert {said.value({"now": one}) for one in times} == {"08:00"}
    assert len(bench.target.asked) == 4


@pytest.mark.parametrize(("missed", "late"), [("skip", timedelta(minutes=1)), ("run", timedelta(days=365))])
async def test_the_server_knows_what_becomes_of_a_start_that_was_missed(
    bench: Bench, missed: str, late: timedelta
) -> None:
    """How late it may come, after a time in which the server was away."""
    made = weekly("0 8 * * 1", missed=missed)
    schedules = Schedules(bench.client, bench.task_queue)
    await schedules.follow([made])
    described = await bench.client.get_schedule_handle("tocsin/weekly").describe()
    await schedules.follow([])
    assert described.schedule.policy.catchup_window == late
