"""`tocsin approvals`, `approve` and `deny`: counted, refused, or not known yet."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.local.lab import Lab
from tests.commands.conftest import ME, asked, blocked, is_blocked, one_line
from tests.site import Site

pytestmark = pytest.mark.timeout(300)  # many processes of the command


async def test_what_waits_is_listed_and_shown(serving: Site, engine: AsyncEngine) -> None:
    """A table for people, a line of JSON for scripts, and the card of one run."""
    alert, row = await asked(serving, engine)
    listed = await serving.tocsin("approvals")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert row.run in listed.stdout
    found = json.loads((await serving.tocsin("approvals", "--json")).stdout)
    assert (row.id, "waiting") in {(one["id"], one["state"]) for one in found}
    card = await serving.tocsin("approvals", row.run)
    assert alert["source"]["ip"] in card.stdout
    assert json.loads((await serving.tocsin("approvals", row.run, "--json")).stdout)[0]["digest"] == row.digest


async def test_an_approval_that_counts_ends_with_0_and_the_run_goes_on(
    serving: Site, engine: AsyncEngine, lab: Lab
) -> None:
    """The card stands before it; the record has the note."""
    alert, row = await asked(serving, engine)
    done = await serving.tocsin("approve", row.run, "--yes", "--note", "seen it before")
    assert (done.returncode, done.stderr) == (0, "")
    assert alert["source"]["ip"] in done.stdout
    assert done.stdout.splitlines()[-1] == f"counted: approve (as {ME}, unverified)"
    assert await blocked(lab, alert)
    told = await serving.tocsin("audit", "show", row.run, "--json")
    answers = [
        one["body"] for line in told.stdout.splitlines() if (one := json.loads(line))["type"] == "approval.answered"
    ]
    assert [(one["verdict"], one["note"]) for one in answers] == [("counted", "seen it before")]


async def test_a_denial_that_counts_ends_with_0_and_nothing_is_sent(
    serving: Site, engine: AsyncEngine, lab: Lab
) -> None:
    """The question is closed: answering it again is a mistake."""
    alert, row = await asked(serving, engine)
    done = await serving.tocsin("deny", row.workflow_id, "--step", "sure", "--yes")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, f"counted: deny (as {ME}, unverified)")
    again = await serving.tocsin("approve", row.run, "--yes")
    assert again.returncode == 2
    assert one_line(again.stderr) == f"nothing waits in {row.run}: sure is denied"
    assert not is_blocked(lab, alert)


async def test_an_answer_that_is_refused_ends_with_1_and_says_why(serving: Site, engine: AsyncEngine, lab: Lab) -> None:
    """Here somebody answers who is not in the group that is asked."""
    alert, row = await asked(serving, engine, "medium")
    for command in ("approve", "deny"):
        done = await serving.tocsin(command, row.run, "--yes")
        assert done.returncode == 1
        assert one_line(done.stderr) == f"refused: {ME} is not in the group leads (as {ME}, unverified)"
    assert not is_blocked(lab, alert)


async def test_what_cannot_be_meant_is_a_mistake(serving: Site, engine: AsyncEngine) -> None:
    """A run that asks nothing, a step that asks nothing, and no terminal to say yes at."""
    _, row = await asked(serving, engine)
    for arguments, says in (
        (("approve", "no-such-run", "--yes"), "nothing waits in no-such-run; see `tocsin approvals`"),
        (("approve", "\udcff", "--yes"), "nothing waits in \\udcff; see `tocsin approvals`"),
        (("deny", row.run, "--step", "block", "--yes"), f"nothing waits in {row.run}: sure is waiting"),
        (("approve", row.run), "without a terminal say --yes"),
    ):
        done = await serving.tocsin(*arguments)
        assert done.returncode == 2
        assert one_line(done.stderr) == says
