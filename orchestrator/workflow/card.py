"""What people read before they decide, in markdown: the literal requests, and how to answer.

Everything that came from outside is shown as code, its invisible characters made visible, so that an alert cannot
write the card.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.language.durations import format_duration
from orchestrator.language.host import ApprovalRequest, RunContext
from orchestrator.workflow.visible import code

MOST_SHOWN = 4_000
"""characters of one parameter that are shown; a longer one says so, and the answer is bound to all of it"""


def card_of(context: RunContext, request: ApprovalRequest, requests: Sequence[CanonicalRequest], digest: str) -> str:
    """The card of an approval."""
    shadow = ["**Shadow mode:** nothing will be sent, whatever is answered.", ""] if context.mode == "shadow" else []
    count = f"{len(requests)} request{'s' if len(requests) != 1 else ''}"
    lines = [
        *shadow,
        f"### Approval wanted: {code(request.ask)}",
        "",
        f"If approved, {count} will be sent, exactly so:",
        "",
        *(line for one in requests for line in _request(one)),
        "",
        f"**Who may answer:** {f'the group {code(request.group)}' if request.group else 'whoever may approve here'}",
        "",
        f"**Until:** {_until(request)}",
        "",
        *_how_to_answer(context, request, digest),
    ]
    return "\n".join(lines)


def answer_to(request: ApprovalRequest, digest: str) -> str:
    """The exact JSON to paste."""
    return json.dumps({"step": request.step, "digest": digest})


def _until(request: ApprovalRequest) -> str:
    if request.deadline is None:
        return "no limit"
    meaning = {"deny": "counts as a denial", "fail": "fails the run", "approve": "counts as an approval"}
    return f"{request.deadline:%Y-%m-%d %H:%M:%S} UTC; no answer by then {meaning[request.otherwise]}"


def _how_to_answer(context: RunContext, request: ApprovalRequest, digest: str) -> list[str]:
    answer = answer_to(request, digest)
    run = shlex.quote(context.run)
    return [
        "**To answer**, send the Signal `approve` or `deny` with this JSON (here: *More Actions*, *Send a Signal*):",
        "",
        "```json",
        answer,
        "```",
        "",
        'To say why, or who you are where nobody signs in, add `"note": "..."` or `"by": "..."`. Or in a terminal:',
        "",
        "```sh",
        f"tocsin approve {run} --step {request.step}",
        f"tocsin deny {run} --step {request.step}",
        "```",
    ]


def _request(one: CanonicalRequest) -> list[str]:
    lines = [f"- **{one.capability}** at **{one.integration}** on {code(one.target)}"]
    lines += [f"  - {name}: {code(_text(value), MOST_SHOWN)}" for name, value in one.parameters.items()]
    if one.undo:
        lasting = (
            f"undone by itself after {format_duration(one.expires)}" if one.expires else "stays until it is undone"
        )
        lines.append(f"  - {lasting}; undone with {one.undo}")
    else:
        lines.append("  - cannot be undone from here")
    return lines


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
