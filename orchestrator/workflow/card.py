"""What people read before they decide, in markdown: the literal requests, and how to answer.

Everything that came from outside is shown as code, its invisible characters made visible, so that an alert cannot
write the card. It is kept to what Temporal's UI shows well: there lists inside lists run together, and the lines of a
code block are cut at the edge of a narrow column, while code in a paragraph is folded and copied whole.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from urllib.parse import quote

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.language.durations import format_duration
from orchestrator.language.host import ApprovalRequest, Question, RunContext
from orchestrator.workflow.visible import code

MOST_SHOWN = 4_000
"""characters of one parameter that are shown; a longer one says so, and the answer is bound to all of it"""
LARGEST = 600_000
"""bytes of a card as a part of an address, which is how Temporal's UI asks for its own page; it takes 1 MB"""


def card_of(
    context: RunContext,
    request: ApprovalRequest,
    requests: Sequence[CanonicalRequest],
    digest: str,
    shadowed: Sequence[str] = (),
) -> str:
    """The card of an approval; where it would be too large for Temporal's UI, less of each parameter is shown.

    `shadowed` says of each request what keeps it from being sent, if anything does.
    """
    for most in (MOST_SHOWN, 1_000, 250, 60):
        card = _card(context, request, requests, digest, most, shadowed or [""] * len(requests))
        if len(quote(card)) <= LARGEST:
            break
    return card


def who_may_answer(question: Question) -> str:
    """The group or the person, and how many have to agree."""
    who = f"the group {code(question.group)}" if question.group else "whoever may approve here"
    who = code(question.user) if question.user else who
    if question.count == 1:
        return who
    return f"{who}; {question.count} {'different people' if question.distinct else 'answers'} are needed"


def _card(
    context: RunContext,
    request: ApprovalRequest,
    requests: Sequence[CanonicalRequest],
    digest: str,
    most: int,
    shadowed: Sequence[str],
) -> str:
    shadow = ["**Shadow mode:** nothing will be sent, whatever is answered.", ""] if context.mode == "shadow" else []
    why = shadowed if not shadow else [""] * len(requests)
    count = f"these {len(requests)} requests" if len(requests) != 1 else "this"
    lines = [
        *shadow,
        f"### Approval wanted: {code(request.ask)}",
        "",
        f"If approved, exactly {count} will be sent:",
        "",
        *(
            line
            for number, (one, kept) in enumerate(zip(requests, why, strict=True), 1)
            for line in _request(one, number, len(requests), most, kept)
        ),
        f"**Who may answer:** {who_may_answer(request)}",
        "",
        f"**Until:** {until(request)}",
        "",
        *how_to_answer(context, request, digest),
    ]
    return "\n".join(lines)


def answer_to(request: ApprovalRequest, digest: str) -> str:
    """The JSON to paste. Where a server knows who signed in, it says so itself, and `by` is worth nothing."""
    return json.dumps({"step": request.step, "digest": digest, "by": ""})


def until(request: ApprovalRequest) -> str:
    """The deadline, and what silence means."""
    if request.deadline is None:
        return "no limit"
    meaning = {"deny": "counts as a denial", "fail": "fails the run", "approve": "counts as an approval"}
    return f"{request.deadline:%Y-%m-%d %H:%M:%S} UTC; no answer by then {meaning[request.otherwise]}"


def how_to_answer(context: RunContext, request: ApprovalRequest, digest: str) -> list[str]:
    """How, in the Temporal UI and in a terminal, as lines."""
    answer = answer_to(request, digest)
    run = shlex.quote(context.run)
    return [
        "**To answer:** *More Actions*, *Send a Signal*, choose `approve` or `deny`, and paste as its input:",
        "",
        f"`{answer}`",
        "",
        'Where nobody signs in here, your name goes between the last quotes. To say why, add `"note": "..."`.',
        "",
        "Or in a terminal:",
        "",
        f"`tocsin approve {run} --step {request.step}`",
        "",
        f"`tocsin deny {run} --step {request.step}`",
    ]


def _request(one: CanonicalRequest, number: int, count: int, most: int, shadowed: str) -> list[str]:
    which = f"{number}. " if count > 1 else ""
    lines = [f"**{which}{one.capability}** at **{one.integration}** on {code(one.target)}", ""]
    lines += [f"- {name}: {code(_text(value), most)}" for name, value in one.parameters.items()]
    if one.undo:
        lasting = (
            f"undone by itself after {format_duration(one.expires)}" if one.expires else "stays until it is undone"
        )
        lines.append(f"- {lasting}; undone with {one.undo}")
    else:
        lines.append("- cannot be undone from here")
    if shadowed:
        lines.append(f"- **shadow:** recorded and not sent, as the policy is now: {code(shadowed)}")
    return [*lines, ""]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
