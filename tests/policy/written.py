"""A policy put in force as the follower does it."""

from __future__ import annotations

import itertools

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


def door(engine: AsyncEngine, *, forgetful: bool = False) -> Recorded:
    """What rails ask: it believes what it saw last while the ledger does; a `forgetful` one looks each time."""
    moments = itertools.count(0, 10)
    return Recorded(PolicyStore(engine), clock=(lambda: next(moments)) if forgetful else lambda: 0.0)
