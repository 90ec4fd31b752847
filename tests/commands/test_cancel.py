"""`tocsin cancel`: a run ends before its steps do."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from orchestrator.local.lab import Lab
from tests.commands.conftest import ME, asked, is_blocked, one_line
from tests.site import Site

pytestmark = pytest.mark.timeout(300)  # many processes of the command


async def test_a_run_that_is_cancelled_sends_nothing_and_its_question_is_void(
    serving: Site, engine: AsyncEngine, lab: Lab, temporal: Client
) -> None:
    """Temporal keeps who wanted it and why; a second time there is nothing to cancel."""
    alert, row = await asked(serving, engine)
    done = await serving.tocsin("cancel", row.run, "--why", "a drill", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"run": row.workflow_id, "state": "cancelled"}
    late = await serving.tocsin("approve", row.run, "--yes")
    assert one_line(late.stderr) == f"nothing waits in {row.run}: sure is void"
    assert not is_blocked(lab, alert)
    told = await serving.tocsin("audit", "show", row.run, "--json")
    events = [json.loads(line) for line in told.stdout.splitlines()]
    (cancelled,) = [one["body"] for one in events if one["type"] == "run.cancelled"]
    assert (cancelled["by"], cancelled["trust"], cancelled["why"]) == (ME, "unverified", "a drill")
    history = await temporal.get_workflow_handle(row.workflow_id).fetch_history()
    (wanted,) = [
        one.workflow_execution_cancel_requested_event_attributes
        for one in history.events
        if one.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert (wanted.identity, wanted.cause) == (ME, "a drill")
    again = await serving.tocsin("cancel", row.run)
    assert again.returncode == 2
    assert one_line(again.stderr) == f"no run {row.workflow_id} is open; see `tocsin audit show {row.workflow_id}`"
