"""What budgets cost an intent, on the real Postgres: `python -m bench.budgets [intents]`.

Each is a new target, over eight connections: without limits, with the defaults of a site, and with a window
that is full of so many targets that counting them shows.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import asyncpg

from orchestrator.audit.events import to_json
from orchestrator.local.prepare import prepare
from orchestrator.local.stack import running_stack
from orchestrator.policy.modes import Asked
from orchestrator.policy.policy import Policy, read_policy
from orchestrator.settings import Settings

CONNECTIONS = 8
INTEND = "SELECT tocsin.intend($1::jsonb, '[]'::jsonb)"
NONE = "budgets: {run: unlimited, playbook: unlimited, all: unlimited}"
LIMITS = "budgets: {run: 1000000, playbook: {1h: 1000000, 1d: 1000000}, all: {1h: 1000000}}"


def policy(text: str) -> Policy:
    """The policy of a text that is right."""
    made = read_policy(f"title: A measurement\n{text}", "policy.yaml").policy
    assert made is not None
    return made


def entry(number: int, run: str, limits: Policy) -> str:
    """An intent on a target of its own."""
    budgets = [vars(one) for one in limits.budgets(Asked("contain", "i", "firewall.block_ip"), run)]
    made: dict[str, Any] = {
        "key": f"{run} {number}", "run": run, "playbook": "contain", "digest": "d", "event": "e", "step": "s",
        "path": ["s"], "capability": "firewall.block_ip", "effect": "reversible", "integration": "i",
        "target": f"ip:{run} {number}", "parameters": {}, "parameters_digest": "d", "mode": "live", "approval": None,
        "expires": 60, "attempt": 1, "send_within": 5, "seen": 0, "shared": None, "prior": None, "groups": [],
        "budgets": budgets,
    }  # fmt: skip
    return to_json(made)


async def measured(dsn: str, count: int, limits: Policy, mark: str) -> float:
    """Intents a second."""
    connections = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]

    async def work(place: int) -> None:
        for number in range(count // CONNECTIONS):
            verdict = await connections[place].fetchval(INTEND, entry(number, f"{mark} {place}", limits))
            assert '"verdict": "send"' in verdict, verdict

    began = time.perf_counter()
    await asyncio.gather(*(work(place) for place in range(CONNECTIONS)))
    took = time.perf_counter() - began
    for connection in connections:
        await connection.close()
    return count / took


async def main(count: int) -> None:
    """Print a line for each."""
    async with running_stack(Settings()) as endpoints:
        await prepare(Settings(), endpoints)
        dsn = endpoints.database.replace("+asyncpg", "")
        await measured(dsn, count // 4, policy(NONE), "warm")
        connection = await asyncpg.connect(dsn)
        await connection.execute("TRUNCATE tocsin.action")
        sys.stdout.write(
            f"without limits          {await measured(dsn, count, policy(NONE), 'none'):8.0f} intents a second\n"
        )
        await connection.execute("TRUNCATE tocsin.action")
        few = await measured(dsn, 160, policy(LIMITS), "few")
        sys.stdout.write(f"with the four limits    {few:8.0f} intents a second, up to 160 targets in the windows\n")
        await measured(dsn, count, policy(NONE), "many")
        many = await measured(dsn, 160, policy(LIMITS), "more")
        sys.stdout.write(f"and a full window       {many:8.0f} intents a second, {count} targets in it\n")
        await connection.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
