"""The card of what waits above a budget: how much it is at a glance, then each request, and how to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.actions.ledger import Reached
from orchestrator.language.durations import format_duration
from orchestrator.language.host import ApprovalRequest, RunContext
from orchestrator.workflow.card import LARGEST, how_to_answer, until, who_may_answer
from orchestrator.workflow.visible import code

MOST_NAMED = 10
"""playbooks, capabilities or runs that the summary names"""


class Waiting(NamedTuple):
    """An action that waits: what it would send, for which run, and the limit that is reached."""

    request: CanonicalRequest
    run: str
    reached: Reached


def budget_card_of(context: RunContext, request: ApprovalRequest, waiting: Sequence[Waiting], digest: str) -> str:
    """The card; where it would be too large for Temporal's UI, less of each parameter is shown."""
    for most in (400, 100, 30):
        card = _card(context, request, waiting, digest, most)
        if len(quote(card)) <= LARGEST:
            break
    return card


def _card(context: RunContext, request: ApprovalRequest, waiting: Sequence[Waiting], digest: str, most: int) -> str:
    targets = len({one.request.target for one in waiting})
    lines = [
        f"### Approval wanted: {len(waiting)} actions on {targets} targets are above a budget",
        "",
        *(f"**Reached:** {code(line)}\n" for line in dict.fromkeys(str(one.reached) for one in waiting)),
        f"**Would do:** {_most(one.request.capability for one in waiting)}",
        "",
        f"**At:** {_most(one.request.integration for one in waiting)}",
        "",
        f"**For the runs:** {_most(one.run for one in waiting)}",
        "",
        "If approved, exactly these are sent, each where its run still wants it; what comes later is asked about anew:",
        "",
        *(_line(number, one, most) for number, one in enumerate(waiting, 1)),
        "",
        f"**Who may answer:** {who_may_answer(request)}",
        "",
        f"**Until:** {until(request)}",
        "",
        *how_to_answer(context, request, digest),
    ]
    return "\n".join(lines)


def _most(words: Iterable[str]) -> str:
    """Each with how often, the most frequent first."""
    counted = Counter(words).most_common()
    more = f" and {len(counted) - MOST_NAMED} more" if len(counted) > MOST_NAMED else ""
    return ", ".join(f"{code(word)} ({count})" for word, count in counted[:MOST_NAMED]) + more


def _line(number: int, one: Waiting, most: int) -> str:
    request = one.request
    lasts = f" for {format_duration(request.expires)}" if request.expires else ""
    target = request.target.partition(":")[2]
    others = [
        f"{name} {code(str(value), most)}" for name, value in request.parameters.items() if value not in (None, target)
    ]
    more = f" ({', '.join(others)})" if others else ""
    return f"{number}. {request.capability} at {code(request.integration)} on {code(request.target)}{lasts}{more}"
