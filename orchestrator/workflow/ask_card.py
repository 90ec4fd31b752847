"""What people read before they answer a question: what is asked, what an answer holds, and how to give it."""

from __future__ import annotations

import json
import shlex

from orchestrator.language.host import AskRequest, RunContext
from orchestrator.language.typed import Spec
from orchestrator.workflow.visible import code


def ask_card_of(context: RunContext, request: AskRequest, digest: str) -> str:
    """The card of a question."""
    specs = {name: Spec.model_validate(spec) for name, spec in request.fields.items()}
    fields = {name: _example(one) for name, one in specs.items()}
    answer = {"step": request.step, "digest": digest, "fields": fields, "by": ""}
    lines = [
        f"### Question: {code(request.ask)}",
        "",
        *(_field(name, spec) for name, spec in specs.items()),
        "" if specs else "Answer when it is done.",
        f"**Who may answer:** {code(request.group) if request.group else 'whoever may answer here'}",
        "",
        f"**Until:** {request.deadline:%Y-%m-%d %H:%M:%S} UTC; {_silence(request)}" if request.deadline else "",
        "",
        "**To answer:** *More Actions*, *Send a Signal*, choose `answer`, and as its input this, filled in:",
        "",
        code(json.dumps(answer), most=4_000),
        "",
        "It approves nothing. Where nobody signs in here, your name goes between the last quotes. Or in a terminal:",
        "",
        f"`tocsin answer {shlex.quote(context.run)} --step {request.step} {_arguments(specs)}".rstrip() + "`",
    ]
    return "\n".join(lines)


def _field(name: str, spec: Spec) -> str:
    kind = " | ".join(code(word) for word in spec.choice) if spec.choice else spec.type or f"list of {spec.list}"
    label = f" - {code(spec.label)}" if spec.label else ""
    return f"- **{name}**: {kind}{' (may be left out)' if not spec.is_required else ''}{label}"


def _silence(request: AskRequest) -> str:
    if request.otherwise is None:
        return "no answer by then fails the step"
    return f"no answer by then means {code(json.dumps(request.otherwise))}"


def _example(spec: Spec) -> object:
    return spec.choice[0] if spec.choice else [] if spec.list else ""


def _arguments(specs: dict[str, Spec]) -> str:
    return " ".join(f"{name}=..." for name in specs)
