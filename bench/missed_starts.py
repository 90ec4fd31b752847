"""What becomes of starts by the clock while Temporal is away: `python -m bench.missed_starts [minutes]`.

Two playbooks start every minute, one with `missed: skip` and one with `missed: run`. The server is killed for some
minutes, comes back, and a line for each says at which minutes it started.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil
from temporalio.client import Client

from orchestrator.language.program import Playbook
from orchestrator.local import ports
from orchestrator.local.endpoints import Endpoints, read_state
from orchestrator.local.stack import down, up
from orchestrator.settings import LocalSettings, Settings
from orchestrator.workflow.client import connect
from orchestrator.workflow.schedules import Schedules

WORDS = ("skip", "run")
QUEUE = "bench-missed"
AFTER = 20.0
"""seconds in which a server that is back has looked at its schedules"""


def every_minute(word: str) -> Playbook:
    """A playbook that starts every minute; nobody works for its queue, so that its runs only begin."""
    trigger = {"schedule": {"cron": "* * * * *", "missed": word}}
    return Playbook(f"every-minute-{word}", {"title": word, "trigger": trigger, "steps": [{"wait": {"for": "1s"}}]})


async def started(client: Client, playbook: str) -> list[str]:
    """The minutes at which it has started, by the clock that it was to start by."""
    found = [one.id async for one in client.list_workflows(f"WorkflowType = '{playbook}'")]
    return sorted(one.rpartition("-")[2] if "T" not in one else one[one.index("T") + 1 :][:5] for one in found)


async def measure(own: Settings, minutes: float) -> None:
    """Start, kill, come back, count."""
    client = await _connected(own, await up(own))
    await Schedules(client, QUEUE).follow([every_minute(word) for word in WORDS])
    await asyncio.sleep(65 - datetime.now(UTC).second)
    _say(f"killed at {datetime.now(UTC):%H:%M:%S}")
    _kill(own)
    await asyncio.sleep(minutes * 60)
    client = await _connected(own, await up(own))
    _say(f"back at {datetime.now(UTC):%H:%M:%S}")
    await asyncio.sleep(AFTER)
    for word in WORDS:
        _say(f"missed: {word:<5} started at {' '.join(await started(client, f'every-minute-{word}'))}")


async def _connected(own: Settings, endpoints: Endpoints) -> Client:
    return await connect(own.temporal, endpoints.temporal)


def _kill(own: Settings) -> None:
    process = read_state(own.home).parts["temporal"].process()
    assert process is not None
    family = [process, *process.children(recursive=True)]
    for one in family:
        one.kill()
    psutil.wait_procs(family)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(arguments: Sequence[str]) -> None:
    """On servers of its own, gone at the end."""
    names = ("kafka_port", "temporal_port", "temporal_ui_port", "postgres_port")
    chosen = ports.choose(names, {}, {}, any_port=True)
    with tempfile.TemporaryDirectory() as folder:
        own = Settings(home=Path(folder), local=LocalSettings(**chosen))
        try:
            await measure(own, float(arguments[0]) if arguments else 3.0)
        finally:
            await down(own)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
