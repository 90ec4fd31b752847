"""Start what asks people, as soon as something waits above a budget."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError

from orchestrator.workflow.budget_question import NAME, budget_workflow_id
from orchestrator.workflow.messages import BudgetStart
from orchestrator.workflow.search_attributes import of_run
from orchestrator.workflow.visible import one_line

log = structlog.get_logger()
AGAIN = 5.0
"""seconds in which a card is started once: many actions reach a budget in the same moment"""


class BudgetStarter:
    """Starts the question of a card where none is open."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._started: dict[str, float] = {}

    async def start(self, card: str, task_queue: str) -> None:
        """Once is as good as often. Where Temporal does not take it now, the run that waits asks for it again."""
        now = self._clock()
        self._started = {one: when for one, when in self._started.items() if now - when < AGAIN}
        if card in self._started:
            return
        self._started[card] = now
        try:
            await self._client.start_workflow(
                NAME,
                BudgetStart(card=card),
                id=budget_workflow_id(card),
                task_queue=task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                search_attributes=of_run("(budget)", "high", "live"),
                static_summary=one_line(f"above a budget: {card}")[:200],
            )
        except RPCError as error:
            del self._started[card]
            log.warning("budget.not_asked", card=card, error=error.message)
