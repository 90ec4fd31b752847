"""`tocsin approvals`, `approve` and `deny`: people decide."""

from __future__ import annotations

import asyncio
import sys

import orjson
from rich.markdown import Markdown
from temporalio.service import RPCError

from orchestrator.audit.database import make_engine
from orchestrator.cli.console import as_json, complain, out, say, table
from orchestrator.cli.operator import me
from orchestrator.errors import TocsinError
from orchestrator.local.endpoints import Endpoints, current_endpoints
from orchestrator.settings import Settings, load_settings
from orchestrator.workflow.client import connect
from orchestrator.workflow.messages import Answer
from orchestrator.workflow.questions import ApprovalRow, Questions

PATIENCE = 20.0
"""seconds to wait for the run's verdict where nobody says how long; without a worker there is none yet"""


async def approvals(run: str = "", *, json: bool = False) -> None:
    """List what waits for people, also while no worker runs; with a run's name, show its cards.

    Parameters
    ----------
    run
        A run, a workflow id or an approval's id.
    json
        One line of JSON instead of a table.
    """
    settings = load_settings()
    engine = make_engine(current_endpoints(settings).database)
    rows = await Questions(engine).listed(run)
    await engine.dispose()
    if json:
        as_json([row.model_dump(mode="json") for row in rows])
    elif run:
        for row in rows:
            out.print(Markdown(row.card))
    else:
        table(("run", "step", "asked", "until"), ((r.run, r.step, f"{r.asked_at:%H:%M:%S}", r.deadline) for r in rows))
        say("nothing waits" if not rows else "show one: tocsin approvals RUN; answer: tocsin approve RUN", "dim")


async def approve(
    run: str, *, step: str | None = None, note: str = "", yes: bool = False, wait: float = PATIENCE
) -> None:
    """Approve what a run asks, after showing the card; then say what the run made of the answer.

    The exit code is 0 where the answer counted and 1 where it was refused.

    Parameters
    ----------
    run
        The run or its workflow id, as `tocsin approvals` lists it.
    step
        Which approval of the run, where several wait.
    note
        Words for the record.
    yes
        Do not ask again.
    wait
        Seconds to wait for what the run makes of the answer. Where nothing is known by then the exit code is 3.
    """
    await _answer("approve", run, step, note, yes=yes, wait=wait)


async def deny(run: str, *, step: str | None = None, note: str = "", yes: bool = False, wait: float = PATIENCE) -> None:
    """Deny what a run asks, after showing the card; then say what the run made of the answer.

    The exit code is 0 where the answer counted and 1 where it was refused.

    Parameters
    ----------
    run
        The run or its workflow id, as `tocsin approvals` lists it.
    step
        Which approval of the run, where several wait.
    note
        Words for the record.
    yes
        Do not ask again.
    wait
        Seconds to wait for what the run makes of the answer. Where nothing is known by then the exit code is 3.
    """
    await _answer("deny", run, step, note, yes=yes, wait=wait)


async def answer(
    run: str, *fields: str, step: str | None = None, note: str = "", yes: bool = False, wait: float = PATIENCE
) -> None:
    """Answer a question of a run, after showing it; then say what the run made of the answer. It approves nothing.

    Parameters
    ----------
    run
        The run or its workflow id, as `tocsin approvals` lists it.
    fields
        What the answer holds, as verdict=benign; a value that is JSON is read as such.
    step
        Which question of the run, where several wait.
    note
        Words for the record.
    yes
        Do not ask again.
    wait
        Seconds to wait for what the run makes of the answer. Where nothing is known by then the exit code is 3.
    """
    await _answer("answer", run, step, note, yes=yes, wait=wait, fields=dict(map(_field, fields)))


def _field(text: str) -> tuple[str, object]:
    name, mark, value = text.partition("=")
    if not mark:
        raise TocsinError(f"{text!r} is no field; write name=value")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


async def _answer(
    signal: str,
    run: str,
    step: str | None,
    note: str,
    *,
    yes: bool,
    wait: float,
    fields: dict[str, object] | None = None,
) -> None:
    settings = load_settings()
    endpoints = current_endpoints(settings)
    engine = make_engine(endpoints.database)
    questions = Questions(engine)
    try:
        row = _one(await questions.listed(run), run, step)
        out.print(Markdown(row.card))
        if not yes and not _sure(signal):
            raise TocsinError("nothing was sent")
        before = await questions.last_answer(row.workflow_id)
        await _send(settings, endpoints, row, signal, note, fields)
        await _verdict(questions, row, before, wait)
    finally:
        await engine.dispose()


def _one(rows: list[ApprovalRow], run: str, step: str | None) -> ApprovalRow:
    waiting = [row for row in rows if row.state == "waiting" and step in (None, row.step)]
    if len(waiting) == 1:
        return waiting[0]
    if waiting:
        raise TocsinError(f"several approvals wait there: {', '.join(row.step for row in waiting)}; name one: --step")
    decided = [f"{row.step} is {row.state}" for row in rows]
    raise TocsinError(
        f"nothing waits in {run}" + (f": {', '.join(decided)}" if decided else "; see `tocsin approvals`")
    )


def _sure(signal: str) -> bool:
    if not sys.stdin.isatty():
        raise TocsinError("without a terminal say --yes")
    return input(f"{signal}? Type yes: ").strip().lower() == "yes"


async def _send(
    settings: Settings,
    endpoints: Endpoints,
    row: ApprovalRow,
    signal: str,
    note: str,
    fields: dict[str, object] | None,
) -> None:
    """The one way in: the same Signal that the UI sends."""
    client = await connect(settings.temporal, endpoints.temporal, identity=me().name)
    handle = client.get_workflow_handle(row.workflow_id)
    try:
        await handle.signal(signal, Answer(step=row.step, digest=row.digest, note=note, fields=fields))
    except RPCError as error:
        raise TocsinError(f"Temporal did not take the answer: {error.message}") from error


async def _verdict(questions: Questions, row: ApprovalRow, before: int, wait: float) -> None:
    """What the run recorded about the answer."""
    deadline = asyncio.get_running_loop().time() + wait
    while asyncio.get_running_loop().time() < deadline:
        answers = await questions.answers_after(row.workflow_id, before)
        if answers:
            last = answers[-1]
            text = f"{last['verdict']}: {last['reason']} (as {last['by']}, {last['trust']})"
            if last["verdict"] != "counted":
                complain(text)
                sys.exit(1)
            say(text, "green")
            return
        await asyncio.sleep(0.2)
    complain(f"sent, and no worker has judged it within {wait:g} s; it counts when one runs again, if in time")
    sys.exit(3)
