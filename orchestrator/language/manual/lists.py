"""What the page lists: kinds of steps, statuses, failures, filters, capabilities, findings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby
from typing import Any

from orchestrator.contract import Capability, Effect
from orchestrator.errors import FAILURES, FailureKind
from orchestrator.language.checking import CODES
from orchestrator.language.expressions.filters.registry import FILTERS, TESTS, Tool, load
from orchestrator.language.host import StepStatus
from orchestrator.language.manual.shapes import kind, table
from orchestrator.language.model import STEPS
from orchestrator.language.schema.plain import Schema
from orchestrator.language.schema.values import literal

Capabilities = Mapping[str, Capability[Any, Any]]
STATUSES: Mapping[StepStatus, str] = {
    StepStatus.SUCCEEDED: "it did its work",
    StepStatus.SHADOWED: "it would have done it; nothing was sent",
    StepStatus.SKIPPED: "its condition did not hold, an approval did not cover it, or nothing reached it",
    StepStatus.FAILED: "it did not do its work; `error.kind` and `error.message` say why",
    StepStatus.DENIED: "an approval: somebody said no; what it covers is skipped",
    StepStatus.EXPIRED: "an approval: nobody answered in time, which `otherwise` takes for a no; "
    "a `wait` for an alert: none came",
}
"""What each status means for the steps that follow."""
OUTPUTS: Mapping[str, str] = {
    "action": "what the capability gives ([its table](#capabilities)); with `all_routes` `{answers, failed}`",
    "approval": "`by`, `at`, `trust`, `note`, `auto`",
    "ask": "its fields, and `by`, `at`, `trust`",
    "playbook": "the outputs of the playbook; none with `detach`",
    "wait": "of a wait for an alert: that alert",
    "for_each": "`collect`, a list with an entry for each item, and `counts.total`, `.succeeded`, `.failed`",
}
"""What `steps.<id>.output` holds of each kind that has one."""


def steps() -> str:
    """Every kind of step in a line."""
    rows = ((f"[`{name}`](#{name})", _first(model.__doc__), OUTPUTS.get(name, "")) for name, model in STEPS.items())
    return table(("step", "what it does", "its output"), rows)


def _first(text: str | None) -> str:
    """The first sentence."""
    return re.split(r"(?<=\.)\s", " ".join((text or "").split()))[0]


def statuses() -> str:
    """Every status."""
    rows = ((f"`{one}`", "yes" if one.ok else "no", STATUSES[one]) for one in StepStatus)
    return table(("status", "`ok`", "meaning"), rows)


def failures() -> str:
    """Every kind of failure."""
    rows = (
        (f"`{one}`", "never" if one.never_retried else "if `retry` says so", _first(FAILURES[one].__doc__))
        for one in FailureKind
    )
    return table(("kind", "tried again", "meaning"), rows)


def filters() -> str:
    """Every filter, with its example."""
    load()
    return _tools("filter", FILTERS)


def value_tests() -> str:
    """Every test, with its example."""
    load()
    return _tools("test", TESTS)


def _tools(word: str, tools: Mapping[str, Tool]) -> str:
    rows = ((f"`{name}`", *_explained(tool)) for name, tool in sorted(tools.items()))
    return table((word, "what it gives", "example"), rows)


def _explained(tool: Tool) -> tuple[str, str]:
    """What a tool does, and the example in its docstring."""
    text = " ".join((tool.function.__doc__ or "").split())
    found = re.search(r"`[^`]*(?:\||\bis\b)[^`]*`", text)
    if found is None:
        return text, ""
    parts = (text[: found.start()].strip(" :"), text[found.end() :].strip(" .;"))
    rest = "; ".join(part for part in parts if part)
    return (f"{rest}." if rest else "Whether it does."), found.group()


def capabilities(known: Capabilities) -> str:
    """Every capability, a table for each family."""
    parts = []
    for family, members in groupby(known.values(), key=lambda one: one.name.partition(".")[0]):
        parts.append(f"### {family}\n\n{_family(list(members))}")
    return "\n\n".join(parts)


def _family(members: list[Capability[Any, Any]]) -> str:
    head = ("capability", "what it does", "effect", "parameters", "output", "undone by")
    return table(head, (_row(one) for one in members))


def _row(one: Capability[Any, Any]) -> tuple[str, ...]:
    undone = f"`{one.inverse}`" if one.inverse and one.effect is Effect.REVERSIBLE else ""
    takes, gives = one.takes.model_json_schema(), one.gives.model_json_schema()
    return f"`{one.name}`", one.summary, str(one.effect), _typed(takes, mark=True), _typed(gives, mark=False), undone


def _typed(made: Schema, *, mark: bool) -> str:
    """The fields with their types; the needed ones in bold."""
    needed = made.get("required", []) if mark else []
    flat = literal(made).get("properties", {})
    named = {name: {**node, **flat[name]} for name, node in made.get("properties", {}).items()}
    return "<br>".join(f"{_name(name, name in needed)}: {_kind(node)}" for name, node in named.items())


def _kind(node: Schema) -> str:
    """What it is; of objects their fields."""
    inside = node.get("items", node) if isinstance(node.get("items", node), dict) else {}
    if "properties" not in inside:
        return kind(node)
    fields = f"{{{', '.join(inside['properties'])}}}"
    return f"list of {fields}" if "items" in node else fields


def _name(name: str, needed: bool) -> str:
    return f"**{name}**" if needed else name


def codes() -> str:
    """Every finding of the checker by its code."""
    return table(("code", "meaning"), ((f"`{code}`", meaning) for code, meaning in CODES.items()))
