"""The kill switch: what is thrown halts every send that changes something, until somebody lifts it.

Whether one is thrown is asked by the ledger itself, in the statement that records an intent (`halting` in the
migrations), so that there is no moment between the look and the intent. Here people throw it, lift it and look at it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement
from orchestrator.audit.events import to_json
from orchestrator.errors import RefusedByPolicy

THROW = text("SELECT tocsin.throw_switch(CAST(:switch AS jsonb))")
LIFT = text("SELECT tocsin.lift_switch(CAST(:switch AS jsonb))")
LISTED = text("""
SELECT to_jsonb(k) FROM tocsin.kill_switch k WHERE lifted_at IS NULL OR :all
ORDER BY lifted_at DESC NULLS FIRST, scope <> 'all', thrown_at
""")
Scope = Literal["all", "integration", "playbook", "capability"]


class Reach(NamedTuple):
    """What a switch halts: everything, or what one integration, playbook or capability is asked for."""

    scope: Scope = "all"
    name: str = ""

    def __str__(self) -> str:
        return f"{self.scope} {self.name}" if self.name else "all"


class Switch(BaseModel):
    """A switch that was thrown, and perhaps lifted since. With `undo_too` it halts the taking back as well."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scope: Scope
    name: str
    undo_too: bool
    thrown_at: datetime
    thrown_by: str
    trust: str
    why: str
    lifted_at: datetime | None = None
    lifted_by: str | None = None
    lifted_why: str | None = None

    @property
    def reach(self) -> Reach:
        """What it halts."""
        return Reach(self.scope, self.name)

    def __str__(self) -> str:
        reach = f"{self.reach}, undo too" if self.undo_too else str(self.reach)
        return f"kill switch for {reach}, thrown by {self.thrown_by} {self.thrown_at:%Y-%m-%d %H:%M:%SZ}: {self.why}"


class Halted(RefusedByPolicy):
    """A kill switch is thrown: nothing was sent now, and it is sent when that is lifted, if it is still wanted."""

    def __init__(self, switch: Switch) -> None:
        super().__init__(f"halted by the {switch}")


class KillSwitch:
    """What people do with the switches, each recorded with its audit event in one transaction."""

    def __init__(self, engine: AsyncEngine, *, who: str, trust: str = "unverified") -> None:
        self._engine = engine
        self._who = {"by": who, "trust": trust}

    async def throw(self, reach: Reach, why: str, *, undo_too: bool = False, inverse: str | None = None) -> Switch:
        """Throw it; one that is thrown already stays as it is, and with `undo_too` halts the taking back from now on.

        `inverse` is what takes back a capability.
        """
        more = {"undo_too": undo_too, "inverse": inverse}
        return Switch.model_validate(await self._changed(THROW, reach, why, more))

    async def lift(self, reach: Reach, why: str) -> Switch | None:
        """Lift it; none where it is not thrown."""
        lifted = await self._changed(LIFT, reach, why, {})
        return Switch.model_validate(lifted) if lifted else None

    async def _changed(self, statement: Any, reach: Reach, why: str, more: dict[str, Any]) -> Any:
        switch = {**reach._asdict(), **self._who, "why": why, **more}
        async with single_statement(self._engine) as connection:
            return (await connection.execute(statement, {"switch": to_json(switch)})).scalar_one()


async def switches(engine: AsyncEngine, *, lifted: bool = False) -> list[Switch]:
    """What is thrown, the widest first; with `lifted` also what was."""
    async with single_statement(engine) as connection:
        rows = (await connection.execute(LISTED, {"all": lifted})).scalars()
        return [Switch.model_validate(row) for row in rows]
