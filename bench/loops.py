"""How a `for_each` grows with its items, on the real Temporal and Postgres: `python -m bench.loops [most items]`.

Each item is one read through the gateway, recorded before and after. Linear time means that the milliseconds an item
stay what they are. Events are those of the longest execution: Temporal takes 51,200.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import WorkflowHandle

from orchestrator.audit.database import make_engine
from orchestrator.local.prepare import prepare
from orchestrator.local.stack import running_stack
from orchestrator.settings import Settings, TemporalSettings
from orchestrator.workflow.client import connect
from tests.workflow.bench import Bench, playbook

SIZES = (10, 100, 1_000, 5_000)
CONCURRENCY = 20


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """A worker and a target in this process, on servers of its own."""
    settings = Settings(temporal=TemporalSettings(task_queue="bench-loops"))
    async with running_stack(settings) as endpoints:
        await prepare(settings, endpoints)
        engine = make_engine(endpoints.database)
        made = Bench(await connect(settings.temporal, endpoints.temporal), engine, "bench-loops")
        async with made.worker():
            yield made
        await engine.dispose()


async def measure(on: Bench, size: int) -> str:
    """One run over so many items."""
    step = {"id": "look", "action": "intel.lookup_ip", "with": {"ip": "{{ item }}"}}
    items = [f"10.{number // 62500}.{number // 250 % 250}.{number % 250}" for number in range(size)]
    loop = {
        "id": "loop",
        "for_each": {"items": items, "concurrency": CONCURRENCY, "collect": "{{ steps.look.ok }}", "steps": [step]},
    }
    made = playbook([loop], name=f"loop-{size}", outputs={"all": "{{ steps.loop.output.counts.succeeded }}"})
    before, cpu, asked = time.perf_counter(), time.process_time(), len(on.target.asked)
    handle = await on.start(made)
    result = await handle.result()
    seconds, cpu = time.perf_counter() - before, time.process_time() - cpu
    executions, events = await history_of(on, handle)
    assert result["outputs"] == {"all": size}, result
    assert len(on.target.asked) - asked == size, "an item was done twice, or not at all"
    each = 1000 / size
    return f"{size:>6} {seconds:8.2f} {seconds * each:10.2f} {cpu * each:10.2f} {executions:>10} {events:>8}"


async def history_of(on: Bench, handle: WorkflowHandle[object, object]) -> tuple[int, int]:
    """How many executions there were, and the events of the longest."""
    for _ in range(100):  # what is visible follows what is
        found = [one async for one in on.client.list_workflows(f"WorkflowId = '{handle.id}'")]
        if found and all(one.close_time for one in found):
            return len(found), max(one.history_length for one in found)
        await asyncio.sleep(0.1)
    raise TimeoutError(handle.id)


async def main() -> None:
    """All sizes up to the one that is named."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    async with bench() as on:
        await measure(on, 10)  # warm
        sys.stdout.write(" items  seconds    ms/item  ms CPU/it  executions   events\n")
        for size in (one for one in SIZES if one <= most):
            sys.stdout.write(await measure(on, size) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # the SDK and the interpreter's own way out do not agree
