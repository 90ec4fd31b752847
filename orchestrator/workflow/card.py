"""What people read before they decide, in markdown: the literal requests, and how to answer.

Everything that came from outside is shown as code, its invisible characters made visible, so that an alert cannot
write the card.
"""

from __future__ import annotations

import json
import shlex
import unicodedata
from collections.abc import Sequence

from orchestrator.actions.canonical import CanonicalRequest
from orchestrator.language.durations import format_duration
from orchestrator.language.host import ApprovalRequest, RunContext

LONGEST = 500


def visible(text: str) -> str:
    """The text with what cannot be seen, or turns the direction of reading, written out."""
    shown = []
    for letter in text[:LONGEST]:
        hidden = unicodedata.category(letter) in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp") or letter in "\u3164\u115f"
        shown.append(f"\u27e8U+{ord(letter):04X}\u27e9" if hidden and letter != "\n" else letter)
    return "".join(shown) + ("\u2026" if len(text) > LONGEST else "")


def code(text: str) -> str:
    """Text from outside as a piece of code on one line: no markdown in it works."""
    line = visible(text).replace("\n", "\u23ce").replace("`", "\u02cb")
    return f"`{line}`" if line else "` `"


def one_line(text: str) -> str:
    """Text from outside for a summary: no markdown, no line breaks."""
    line = visible(text).replace("\n", " ")
    return "".join(f"\\{letter}" if letter in "\\`*_[]()<>#!|~" else letter for letter in line)


def card_of(context: RunContext, request: ApprovalRequest, requests: Sequence[CanonicalRequest], digest: str) -> str:
    """The card of an approval."""
    answer = json.dumps({"step": request.step, "digest": digest})
    lines = [
        f"### Approval wanted: {code(request.ask)}",
        "",
        f"{len(requests)} request{'s' if len(requests) != 1 else ''} will be sent, exactly so:",
        "",
        *(line for one in requests for line in _request(one)),
        "",
        f"**Who may answer:** {f'group {request.group}' if request.group else 'anybody listed as an approver'}",
        f"**Until:** {request.deadline:%Y-%m-%d %H:%M:%S} UTC; silence means **{request.otherwise}**"
        if request.deadline else "",
        "",
        "**To answer**, send the Signal `approve` or `deny` with this input (in this UI: More actions, Send a signal):",
        "",
        f"    {answer}",
        "",
        "or in a terminal:",
        "",
        f"    tocsin approve {shlex.quote(context.run)} --step {request.step}",
    ]  # fmt: skip
    if context.mode == "shadow":
        lines.insert(0, "**Shadow mode:** nothing will be sent, whatever is answered.\n")
    return "\n".join(lines)


def _request(one: CanonicalRequest) -> list[str]:
    lasting = (
        f"undone by itself after {format_duration(one.expires)}" if one.expires else "stays until somebody undoes it"
    )
    undo = f"; undo: {one.undo}" if one.undo else ""
    return [
        f"- **{one.capability}** at **{one.integration}** on {code(one.target)}",
        *(
            f"  - {name}: {code(value if isinstance(value, str) else json.dumps(value))}"
            for name, value in one.parameters.items()
        ),
        *([f"  - {lasting}{undo}"] if one.undo else []),
    ]
