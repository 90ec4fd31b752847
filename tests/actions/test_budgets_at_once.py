"""Budgets under thousands of generated interleavings: many connections, some cut in the middle of a statement."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

import asyncpg
import pytest

from orchestrator.audit.events import to_json

pytestmark = pytest.mark.timeout(120)
CONNECTIONS, EACH, ROUNDS = 8, 100, 3
INTEND = "SELECT tocsin.intend($1::jsonb, '[]'::jsonb)"
CONCLUDE = "SELECT tocsin.conclude($1, $2::jsonb)"
LIMITS = {"run": 3, "playbook": 9, "capability": 12, "group": 2, "all": 20}


class Asked(NamedTuple):
    """One intent."""

    run: str
    playbook: str
    capability: str
    target: str
    attempt: int = 1

    @property
    def key(self) -> str:
        return " ".join((self.run, self.capability, self.target))

    @property
    def groups(self) -> list[str]:
        """Every fifth target is a member of the only group."""
        return ["few"] if int(self.target.rpartition(".")[2]) % 5 == 0 else []

    def entry(self, limits: Iterable[str]) -> str:
        of = {"run": self.run, "playbook": self.playbook, "capability": self.capability, "group": "few", "all": ""}
        named = [scope for scope in limits if scope != "group" or self.groups]
        budgets = [
            {"scope": scope, "of": of[scope], "seconds": None if scope == "run" else 3600, "most": LIMITS[scope],
             "line": "", "card": f"{scope} {of[scope]}", "group": None, "count": 1, "within": 60, "otherwise": "deny"}
            for scope in named
        ]  # fmt: skip
        return to_json(
            {
                "key": self.key, "run": self.run, "playbook": self.playbook, "digest": "d", "event": "e", "step": "s",
                "path": ["s", self.target], "capability": self.capability, "effect": "reversible",
                "integration": "i", "target": self.target, "parameters": {}, "parameters_digest": self.target,
                "mode": "live", "approval": None, "expires": 60, "attempt": self.attempt, "send_within": 5, "seen": 0,
                "shared": None, "prior": None, "groups": self.groups, "budgets": budgets,
            }
        )  # fmt: skip


def generated(chance: random.Random) -> list[Asked]:
    """Intents of some runs of few playbooks on few targets, many of them more than once."""
    return [
        Asked(
            f"{playbook}/{chance.randrange(6)}", playbook, chance.choice(["block", "disable"]),
            f"ip:203.0.113.{chance.randrange(60)}",
        )
        for playbook in (chance.choice(["contain", "isolate", "close"]) for _ in range(EACH))
    ]  # fmt: skip


class Worker:
    """Somebody who asks over a connection of his own, which is cut now and then, and then asks again."""

    def __init__(self, dsn: str, chance: random.Random) -> None:
        self._dsn = dsn
        self._chance = chance
        self.cuts = 0
        self.verdicts: dict[str, int] = defaultdict(int)

    async def work(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        for asked in generated(self._chance):
            while True:
                try:
                    await self._one(connection, asked)
                    break
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    self.cuts += 1
                    connection = await asyncpg.connect(self._dsn)
        await connection.close()

    async def _one(self, connection: asyncpg.Connection, asked: Asked) -> None:
        asking = asyncio.ensure_future(connection.fetchval(INTEND, asked.entry(LIMITS)))
        if self._chance.random() < 0.1:  # the process dies: before, in or after the transaction
            await asyncio.sleep(self._chance.random() * 0.004)
            connection.terminate()
        verdict = str(await asking)
        self.verdicts[verdict.partition('"verdict": "')[2].partition('"')[0]] += 1
        if '"send"' in verdict and self._chance.random() < 0.3:
            failed = {"state": "failed", "send": 1, "how": "answered", "error_kind": "timeout", "error_message": "x"}
            await connection.fetchval(CONCLUDE, asked.key, to_json(failed))


def within(limits: dict[str, int], rows: list[Any]) -> list[str]:
    """Every budget that is above its limit."""
    taken: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        for scope, of in (
            ("run", row["run"]), ("playbook", row["playbook"]), ("capability", row["capability"]), ("all", ""),
            *(("group", group) for group in row["groups"]),
        ):  # fmt: skip
            taken[scope, of].add(row["target"])
    return [f"{key}: {len(targets)}" for key, targets in taken.items() if len(targets) > limits[key[0]]]


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_no_interleaving_goes_above_a_budget_and_none_is_left_unused(
    database: str, seed: int, record_property: Any
) -> None:
    """What was sent or may have been keeps every limit; what waits waits because one of them is reached."""
    workers = [Worker(plain(database), chance(f"{seed} {number}")) for number in range(CONNECTIONS)]
    await asyncio.gather(*(worker.work() for worker in workers))

    connection = await asyncpg.connect(plain(database))
    rows = await connection.fetch("SELECT * FROM tocsin.action WHERE state <> 'failed'")
    waiting = await connection.fetchval("SELECT count(*) FROM tocsin.budget_waiting")
    await connection.close()
    record_property("cut", sum(worker.cuts for worker in workers))
    verdicts = {one for worker in workers for one in worker.verdicts}
    assert within(LIMITS, rows) == []
    assert len({row["target"] for row in rows}) >= LIMITS["all"] - 6  # those that failed have given their places back
    assert waiting > 0
    assert sum(worker.cuts for worker in workers) > 0
    assert {"send", "over"} <= verdicts


def plain(database: str) -> str:
    """The address as the driver wants it."""
    return database.replace("+asyncpg", "")


def chance(seed: str) -> random.Random:
    """The same for the same seed."""
    return random.Random(seed)  # noqa: S311 - repeatable chance is what is wanted


async def test_the_checker_finds_what_an_intent_that_does_not_look_would_do(database: str) -> None:
    """Without the limits in the statement the same load goes above them: the test can fail."""
    connection = await asyncpg.connect(plain(database))
    for asked in generated(chance("1")):
        await connection.fetchval(INTEND, asked.entry(()))
    rows = await connection.fetch("SELECT * FROM tocsin.action")
    await connection.close()

    assert within(LIMITS, rows) != []
