"""Whether somebody at a terminal may do something: asked before it is done, and a refusal is on record."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import transaction
from orchestrator.audit.events import Event, record
from orchestrator.errors import Unavailable
from orchestrator.policy.in_force import Recorded
from orchestrator.policy.operators import Operator, Verb
from orchestrator.policy.store import PolicyStore


async def permit(engine: AsyncEngine, who: Operator, verb: Verb, about: str) -> None:
    """Return where the policy in force lets this person do that; else raise `NotAllowed`, after recording the refusal.

    Where the policy in force cannot be read, nobody may do anything but throw the kill switch: what halts must work
    when nothing else does.
    """
    try:
        policy = await Recorded(PolicyStore(engine)).now()
    except Unavailable:
        if verb == "kill":
            return
        raise
    refused = policy.refusal(verb, who)
    if refused is None:
        return
    body = {"what": verb, "by": who.name, "trust": who.trust, "line": str(refused.line), "policy": policy.digest}
    async with transaction(engine) as connection:
        await record(connection, [Event(type="operator.refused", subject=about, body=body)])
    raise refused
