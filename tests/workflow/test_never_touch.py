"""What must never be touched, on the real Temporal: no approval goes around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

from orchestrator.language.reference_files import ReferenceKeeper
from tests.workflow.bench import Bench, an_alert, ask, block, playbook

LISTED = "title: Ours\ntype: network\nentries: [{}]\nnever_touch: true\n"


@pytest.fixture
def listed(tmp_path: Path, bench: Bench) -> Path:
    """The file of a never-touch list, in force as soon as it is written."""
    (tmp_path / "lists").mkdir()
    wall = lambda: datetime.now(UTC) + timedelta(minutes=1)  # noqa: E731 - nobody is taken to be writing
    bench.never_touch = ReferenceKeeper(tmp_path, every=0, wall=wall).never_touch
    return tmp_path / "lists" / "ours.yaml"


@pytest.mark.parametrize(("entry", "sent"), [("203.0.113.0/24", False), ("203.0.112.0/24", True)])
async def test_an_approved_step_is_still_refused(bench: Bench, listed: Path, entry: str, sent: bool) -> None:
    """The address comes on the list after people were asked: approved, and not sent. Beside the list, it is."""
    alert = an_alert()
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]), alert)
        row = await bench.asked(handle)
        listed.write_text(LISTED.format(entry))
        await bench.answer(handle, "approve", row)
        if sent:
            await handle.result()
        else:
            with pytest.raises(WorkflowFailureError):
                await handle.result()

    (decided,) = await bench.questions.listed(handle.id)
    assert decided.state == "approved"
    assert bench.target.asked == (["block 203.0.113.7"] if sent else [])
    told = await bench.told(alert.key)
    assert ("action.refused" in told) is not sent


async def test_nobody_is_asked_for_what_would_be_refused(bench: Bench, listed: Path) -> None:
    """The step that would ask fails, and says by which list."""
    listed.write_text(LISTED.format("203.0.113.7"))
    alert = an_alert()
    async with bench.worker():
        handle = await bench.start(playbook([ask(), block()]), alert)
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    assert await bench.questions.listed(handle.id) == []
    assert bench.target.asked == []
    (kept,) = await bench.rows("SELECT body FROM tocsin.audit_event WHERE type = 'action.refused'")
    assert (kept.body["list"], kept.body["entry"]) == ("lists.ours", "203.0.113.7/32")
