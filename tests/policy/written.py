"""A policy put in force as the follower does it."""

from __future__ import annotations

import itertools

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.policy.in_force import Recorded
from orchestrator.policy.policy import Policy, read_policy
from orchestrator.policy.store import PolicyStore

FILE = "playbooks/site/policy.yaml"
WIDE = "budgets: {run: unlimited, playbook: unlimited, all: unlimited}"
"""of tests that are about something else, and act more often in a second than a site does in an hour"""


def written(text: str) -> Policy:
    """The policy whose second line is the first of the text; its budgets are wide unless the text says which."""
    made = text if "budgets:" in text else f"{text}\n{WIDE}"
    policy = read_policy(f"title: A test\n{made}", FILE).policy
    assert policy is not None
    return policy


OPEN = Policy(written("").model)
"""what holds in tests where nothing is in force"""


async def put(engine: AsyncEngine, text: str) -> None:
    """From now on this policy; see `written`."""
    await PolicyStore(engine, by="a test").put(written(text))


def door(engine: AsyncEngine, *, forgetful: bool = False, default: Policy = OPEN) -> Recorded:
    """What rails ask: it believes what it saw last while the ledger does; a `forgetful` one looks each time."""
    moments = itertools.count(0, 10)
    clock = (lambda: float(next(moments))) if forgetful else lambda: 0.0
    return Recorded(PolicyStore(engine), clock, default)
