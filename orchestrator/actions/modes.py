"""The mode of a request at the moment of sending: the run's, the settings', and that of the policy in force."""

from __future__ import annotations

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.ledger import UNDO
from orchestrator.contract import Effect
from orchestrator.language.host import RunContext
from orchestrator.language.never_touch import is_guarded
from orchestrator.policy.in_force import Fixed, PolicyInForce, Ruled
from orchestrator.policy.modes import Asked, Decided
from orchestrator.policy.policy import DEFAULT
from orchestrator.policy.section import Line, Mode

PERSON = "(a person)"
"""stands for the playbook in what a person does"""


class Modes:
    """Says what is sent and what is only recorded; of all that has a say, the most restrictive counts."""

    def __init__(self, policy: PolicyInForce | None = None, site: Mode = "live") -> None:
        self._policy = policy or Fixed()
        self._site = site

    async def of_run(self, playbook: str, mode: Mode) -> Decided:
        """The mode of a whole run that was asked for in this one, with what makes it shadow."""
        ruled = await self._policy.ruled(Asked(playbook))
        return Decided((*self._own(mode, "asked for in shadow"), *ruled.mode.lines))

    async def of(self, context: RunContext, request: CanonicalRequest, effect: Effect, *, anew: bool = False) -> Ruled:
        """The mode of a request; `anew` where the policy is known to be another by now.

        A read is in no mode. What takes back an effect of ours is never kept from it, unless the run itself is shadow
        and only says what it would take back.
        """
        own = self._own(context.mode, context.mode_why or "asked for in shadow")
        if not effect.mutates or (UNDO in request.path and context.mode == "live"):
            return Ruled(DEFAULT, Decided())
        playbook = context.playbook if context.playbook != PERSON else None
        ruled = await self._policy.ruled(Asked(playbook, request.integration, request.capability), anew=anew)
        canary = ruled.mode.canary if is_guarded(effect) else ()
        return Ruled(ruled.policy, Decided((*own, *ruled.mode.lines), canary))

    def _own(self, mode: Mode, why: str) -> tuple[Line, ...]:
        run = (Line(why, origin="the run"),) if mode == "shadow" else ()
        return (*run, Line("mode: shadow", origin="the settings")) if self._site == "shadow" else run
