"""Playbook tests: the same interpreter against simulated actions and people, with time skipped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import TocsinError
from orchestrator.language.host import RunContext
from orchestrator.language.interpreter import Capabilities, RunResult, begin, carry_out
from orchestrator.language.program import Playbook
from orchestrator.language.reference import ReferenceData
from orchestrator.language.simulator.answers import TestMistake, Unforeseen
from orchestrator.language.simulator.clock import NothingMoves, in_virtual_time
from orchestrator.language.simulator.compare import differences
from orchestrator.language.simulator.coverage import Branch, Coverage
from orchestrator.language.simulator.host import SimulatedHost
from orchestrator.language.simulator.site import site_of
from orchestrator.language.simulator.starts import Decode, Joining, Samples, Start, joining_of, start_of
from orchestrator.language.simulator.world import World
from orchestrator.language.tested import Test

REQUESTER = "the requester"


@dataclass(frozen=True)
class TestReport:
    """What came of a test: `problems` is empty where it passed. `number` is its place among the playbook's tests."""

    __test__ = False

    playbook: str
    name: str
    problems: tuple[str, ...]
    number: int = 0

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.problems


def simulate_all(
    playbook: Playbook,
    capabilities: Capabilities,
    samples: Path,
    decode: Decode,
    coverage: Coverage | None = None,
    site: ReferenceData | None = None,
) -> list[TestReport]:
    """Carry out every test of a playbook; `coverage` is told what they reach, `site` has what its lists hold."""
    return [
        simulate(playbook, test, capabilities, samples, decode, coverage, site, number)
        for number, test in enumerate(playbook.model.tests)
    ]


def simulate(
    playbook: Playbook,
    test: Test,
    capabilities: Capabilities,
    samples: Path,
    decode: Decode,
    coverage: Coverage | None = None,
    site: ReferenceData | None = None,
    number: int = 0,
) -> TestReport:
    """Carry out one test."""
    try:
        problems = _simulated(playbook, test, capabilities, Samples(samples, decode), coverage, site)
    except TocsinError as mistake:
        problems = [str(mistake)]
    return TestReport(playbook.name, test.name, tuple(problems), number)


def _simulated(
    playbook: Playbook,
    test: Test,
    capabilities: Capabilities,
    samples: Samples,
    coverage: Coverage | None,
    site: ReferenceData | None,
) -> Sequence[str]:
    start = start_of(playbook, test, samples)
    if coverage is not None and start.alert is not None:
        coverage.matched(playbook, holds=start.starts)
    if start.starts is not test.expect.starts:
        return [f"starts: expected {'a start' if test.expect.starts else 'no start'}; {start.why}"]
    if not start.starts:
        return []
    played = play(playbook, test, start, capabilities, samples, coverage, site)
    if played.result is None:
        return [*dict.fromkeys(map(str, played.mistakes))]
    return [*differences(playbook, test, played.world, played.result)]


@dataclass(frozen=True)
class Played:
    """What happened in the run of a test; no result where mistakes of the test, or a wait for ever, broke it off."""

    world: World
    result: RunResult | None
    mistakes: tuple[TocsinError, ...] = ()


def play(
    playbook: Playbook,
    test: Test,
    start: Start,
    capabilities: Capabilities,
    samples: Samples,
    coverage: Coverage | None = None,
    site: ReferenceData | None = None,
) -> Played:
    """Carry out the run that a test has started, whatever it expects of it."""
    joins = joining_of(playbook, test, start, samples)
    world = World(test, capabilities, start.at, site_of(playbook, test, site), coverage.saw if coverage else None)
    try:
        result = in_virtual_time(_carried_out(playbook, world, start, joins))
    except (TestMistake, NothingMoves) as mistake:
        return Played(world, None, (*world.mistakes, mistake))
    return Played(world, None if world.mistakes else result, tuple(world.mistakes))


async def _carried_out(playbook: Playbook, world: World, start: Start, joins: Sequence[Joining]) -> RunResult:
    """One run to its end, with the alerts that join it, and the sub-playbooks that go on without it."""
    severity = start.alert.severity if start.alert else None
    host = SimulatedHost(world, playbook, _context(playbook, start), severity=severity)
    joining = asyncio.ensure_future(_join(host, joins))
    run = begin(
        playbook,
        host,
        world.capabilities,
        alert=start.alert,
        inputs=start.inputs,
        site=world.site,
        observer=world.observer,
    )
    result = await carry_out(run)
    world.traces += result.traces
    if not joining.done():
        joining.cancel()
        count = host.joined().count
        world.noted(lambda: _too_late(joins[count]))
    world.effects.expire(world.now())
    await _detached(world)
    return result


def _context(playbook: Playbook, start: Start) -> RunContext:
    by_hand = start.alert is None and playbook.model.trigger.manual is not None
    return RunContext(
        run=f"{playbook.name}/a/test",
        playbook=playbook.name,
        digest=playbook.digest,
        event=start.alert.key if start.alert else "test",
        workflow_id="test",
        first_run_id="test",
        mode=playbook.model.mode,
        requester=REQUESTER if by_hand else None,
        case=start.alert.case if start.alert else None,
    )


async def _join(host: SimulatedHost, joins: Sequence[Joining]) -> None:
    begun = host.now()
    for one in joins:
        await asyncio.sleep(one.after - (host.now() - begun).total_seconds())
        host.join(one.alert)


def _too_late(one: Joining) -> None:
    raise Unforeseen(f"joins: the alert after {one.told} came when the run had ended")


async def _detached(world: World) -> None:
    """Wait for the sub-playbooks that nobody waits for, and those that they call."""
    while waiting := [task for task in world.detached if not task.done()]:
        await asyncio.wait(waiting)
    for task in world.detached:
        task.result()


__all__ = [
    "Branch",
    "Coverage",
    "Decode",
    "Played",
    "Samples",
    "SimulatedHost",
    "Start",
    "TestMistake",
    "TestReport",
    "Unforeseen",
    "play",
    "simulate",
    "simulate_all",
    "start_of",
]
