"""What would become of an action: each rail in the order of the gateway, and by which line it says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.budgets import BudgetsOfActions, usage
from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.catalog import AnyCapability
from orchestrator.actions.demands import DemandedApprovals
from orchestrator.actions.kill_switch import Switch
from orchestrator.actions.modes import PERSON, Modes
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.site import Configured
from orchestrator.audit.database import single_statement
from orchestrator.audit.events import to_json
from orchestrator.contract import Effect
from orchestrator.errors import TocsinError
from orchestrator.language.host import RunContext
from orchestrator.language.never_touch import is_guarded
from orchestrator.language.reference_files import ReferenceFile

HALTING = text("SELECT tocsin.halting(CAST(:asked AS jsonb))")
Verdict = Literal["passes", "refuses", "halts", "shadows", "asks"]
Becomes = Literal["sent", "asked about", "shadowed", "halted", "refused"]
OF: dict[Verdict, Becomes] = {
    "passes": "sent", "asks": "asked about", "shadows": "shadowed", "halts": "halted", "refuses": "refused",
}  # fmt: skip
STRENGTH: tuple[Verdict, ...] = ("passes", "asks", "shadows", "halts", "refuses")
"""from the least to the most"""


@dataclass(frozen=True)
class Told:
    """What one rail says, and by which line of which file, or which switch or list."""

    rail: str
    verdict: Verdict
    by: str


@dataclass(frozen=True)
class Explained:
    """What would become of the action at one integration."""

    integration: str
    told: tuple[Told, ...]

    @property
    def becomes(self) -> Becomes:
        """The strongest that is said."""
        return OF[max((one.verdict for one in self.told), key=STRENGTH.index, default="passes")]


class Explainer:
    """Asks the rails themselves: what is explained is what would happen."""

    def __init__(
        self,
        engine: AsyncEngine,
        never_touch: NeverTouch,
        modes: Modes,
        demands: DemandedApprovals,
        lists: Sequence[ReferenceFile] = (),
        budgets: BudgetsOfActions | None = None,
    ) -> None:
        self._lists = lists
        self._budgets = budgets or BudgetsOfActions()
        self._demands = demands
        self._engine = engine
        self._never_touch = never_touch
        self._modes = modes

    async def explain(
        self, capability: AnyCapability, target: str, routes: Sequence[Configured], context: RunContext
    ) -> list[Explained]:
        """What would become of it at each of these; raises `TocsinError` where the target is none."""
        value = typed_target(capability, target)
        touched = await self._touched(capability, value)
        found = []
        for to in routes:
            request = _request(capability, value, to.name)
            told = [
                touched,
                await self._mode(context, request, capability.effect),
                await self._switch(context, request, capability.effect),
                await self._demanded(context, request, capability, value),
                _irreversible(capability.effect),
                await self._budget(context, request, capability, value),
            ]
            found.append(Explained(to.name, tuple(one for one in told if one is not None)))
        return found

    async def _touched(self, capability: AnyCapability, value: Any) -> Told | None:
        if not is_guarded(capability.effect):
            return None
        found = await self._never_touch.touched({capability.target: value} if capability.target else {})
        if found is None:
            return Told("never_touch", "passes", "on no list")
        return Told("never_touch", "refuses", f"{place_of(self._lists, found.list, found.entry)}{found}")

    async def _mode(self, context: RunContext, request: CanonicalRequest, effect: Effect) -> Told | None:
        if not effect.mutates:
            return None
        ruled = await self._modes.of(context, request, effect)
        if ruled.mode.mode == "live":
            first = "; ".join(str(line) for line in ruled.mode.canary)
            return Told("mode", "passes", first or "live: no line says anything else")
        return Told("mode", "shadows", "; ".join(str(line) for line in ruled.mode.lines))

    async def _switch(self, context: RunContext, request: CanonicalRequest, effect: Effect) -> Told | None:
        if not effect.mutates:
            return None
        asked = {
            "effect": effect, "mode": "live", "path": [], "integration": request.integration,
            "playbook": context.playbook, "capability": request.capability,
        }  # fmt: skip
        async with single_statement(self._engine) as connection:
            thrown = (await connection.execute(HALTING, {"asked": to_json(asked)})).scalar()
        if thrown is None:
            return Told("kill_switch", "passes", "none is thrown for it")
        return Told("kill_switch", "halts", str(Switch.model_validate(thrown)))

    async def _demanded(
        self, context: RunContext, request: CanonicalRequest, capability: AnyCapability, value: Any
    ) -> Told | None:
        if not capability.effect.mutates or context.playbook == PERSON:
            return None
        ruled = await self._modes.of(context, request, capability.effect)
        named = {capability.target: value} if capability.target else {}
        wanted = await self._demands.wanted(ruled.policy, context.playbook, request, named)
        if wanted is None:
            return Told("approval", "passes", "the policy demands none that the playbook does not ask for itself")
        return Told("approval", "asks", wanted.line)

    async def _budget(
        self, context: RunContext, request: CanonicalRequest, capability: AnyCapability, value: Any
    ) -> Told | None:
        """A new run has all of its own budget left."""
        if not is_guarded(capability.effect) or context.playbook == PERSON:
            return None
        ruled = await self._modes.of(context, request, capability.effect)
        named = {capability.target: value} if capability.target else {}
        takes = await self._budgets.takes(ruled.policy, context, request, named)
        used = await usage(self._engine, takes.limits, request.target)
        full = [one for one in used if one.used >= one.most and not one.counted]
        if full:
            return Told("budget", "asks", "; ".join(map(str, full)))
        return Told("budget", "passes", "; ".join(map(str, used)) or "no limit is set for it")


def place_of(files: Sequence[ReferenceFile], name: str, entry: str | None) -> str:
    """Where the entry of a list stands, before what is said of it; nothing for what stands in no file of the site."""
    file = next((one for one in files if one.name == name), None)
    if file is None:
        return ""
    for path in file.files if entry else ():
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
            if str(entry) in line:
                return f"{path}:{number}: "
    return f"{file.path}: "


def typed_target(capability: AnyCapability, target: str) -> Any:
    """The target in its one spelling; with or without its kind before a colon."""
    if capability.target is None:
        return target
    field = capability.takes.model_fields[capability.target]
    kind = getattr(field.annotation, "kind", capability.target)
    annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        return TypeAdapter(annotation).validate_python(target.removeprefix(f"{kind}:"))
    except ValidationError as error:
        why = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise TocsinError(f"{target!r} is no {kind}, which {capability.name} acts upon: {why}") from None


def asking(playbook: str | None, *, shadow: str = "") -> RunContext:
    """A run of this playbook, or a person, who asks; `shadow` is what makes the run so."""
    return RunContext(
        run="", playbook=playbook or PERSON, digest="", event="", workflow_id="", first_run_id="",
        mode="shadow" if shadow else "live", mode_why=shadow,
    )  # fmt: skip


def _request(capability: AnyCapability, value: Any, integration: str) -> CanonicalRequest:
    kind = getattr(value, "kind", capability.target)
    target = f"{kind}:{value}" if capability.target else capability.name
    return CanonicalRequest(
        step="explain", path=(), capability=capability.name, integration=integration, target=target, parameters={}
    )


def _irreversible(effect: Effect) -> Told | None:
    if effect is not Effect.IRREVERSIBLE:
        return None
    return Told("irreversible", "asks", "it cannot be undone: an approval has to cover it, or the step is `unattended`")
