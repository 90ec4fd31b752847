"""A policy put in force as the follower does it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.policy.in_force import Recorded
from orchestrator.policy.policy import read_policy
from orchestrator.policy.store import PolicyStore

FILE = "playbooks/site/policy.yaml"


async def put(engine: AsyncEngine, text: str) -> None:
    """From now on this policy, whose second line is the first of the text."""
    policy = read_policy(f"title: A test\n{text}", FILE).policy
    assert policy is not None
    await PolicyStore(engine, by="a test").put(policy)


def door(engine: AsyncEngine) -> Recorded:
    """What the rails of a process ask: it believes what it saw last for as long as the ledger does."""
    return Recorded(PolicyStore(engine), clock=lambda: 0.0)
