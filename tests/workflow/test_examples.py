"""The playbooks that ship and those of the manual on the real Temporal: each of their tests comes out there as well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.mutants.corpus import corpus
from orchestrator.language.model import STEPS, every_step
from orchestrator.settings import WorkerSettings
from orchestrator.workflow.worker import make_worker
from tests.workflow.bench import Bench
from tests.workflow.rehearsal import CAPABILITIES, Case, Rehearsal, activities, cases_of, rehearse

WAITING = {"wait", "repeat"}
"""what takes its time in the tests that have it"""


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    """Their tests, and those of the playbooks that the checker is tried on; but for those that take their time."""
    return cases_of(corpus(CAPABILITIES))


async def test_what_is_expected_in_simulation_happens_on_the_server(
    bench: Bench, cases: list[Case], record_property: Callable[[str, object], None]
) -> None:
    """The same calls in the same order, questions, undoing, outputs and ends, of every kind of step."""
    rehearsal = Rehearsal()
    async with make_worker(bench.client, bench.task_queue, activities(bench, rehearsal), WorkerSettings()):
        problems = await rehearse(bench, cases, rehearsal)
    playbooks = {case.playbook.name: case.playbook.model for case in cases}
    kinds = {step.KIND for one in playbooks.values() for step in every_step((*one.steps, *one.on_failure))}
    record_property("tests of playbooks on the real Temporal", f"{len(cases)}, of {len(playbooks)} playbooks")

    assert problems == []
    assert kinds >= set(STEPS) - WAITING
    assert len(cases) >= 100
