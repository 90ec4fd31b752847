"""A step by its own key: a definition for each kind, chosen by the key that is there: a mistake is told once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.contract import Capability, Effect
from orchestrator.language.model import STEPS
from orchestrator.language.schema.plain import Schema

STARTS: Mapping[str, Any] = {
    "action": "$1",
    "approval": {"ask": "$1", "covers": ["$2"], "by": {"group": "$3"}, "within": "30m", "otherwise": "deny"},
    "ask": {"text": "$1", "by": {"group": "$2"}, "fields": {"answer": "text"}, "within": "4h", "otherwise": "fail"},
    "playbook": "$1",
    "parallel": [{"action": "$1"}, {"action": "$2"}],
    "do": [{"action": "$1"}],
    "for_each": {"items": "$1", "as": "item", "steps": [{"action": "$2"}]},
    "if": "$1",
    "switch": "$1",
    "repeat": {"until": "$1", "every": "30s", "times": 10, "steps": [{"action": "$2"}]},
    "wait": {"for": "5m"},
    "set": {"name": "$1"},
    "undo": ["$1"],
    "stop": "success",
}
"""What an editor puts there when a step of this kind is begun."""
BESIDE: Mapping[str, Mapping[str, Any]] = {
    "if": {"then": [{"action": "$2"}]},
    "switch": {"cases": {"value": [{"action": "$2"}]}, "default": []},
    "stop": {"message": "$1"},
}


def with_steps(definitions: dict[str, Schema], capabilities: Mapping[str, Capability[Any, Any]]) -> None:
    """Add `Step`, and give each kind its title."""
    kinds = {kind: model.__name__ for kind, model in STEPS.items()}
    for kind, name in kinds.items():
        definitions[name] = {"title": f"a step `{kind}`", **definitions[name]}
    first = definitions[kinds["action"]]["properties"]
    shared = {key: one for key, one in first.items() if all(_has(definitions[name], key) for name in kinds.values())}
    definitions["Step"] = {
        "title": "a step",
        "description": "A step has one key of its own, which says its kind, and beside it what any step may have.",
        "type": "object",
        "properties": {**_own_keys(definitions, kinds), **shared, "default": _any_default(first)},
        "allOf": [*(_chosen(kind, name) for kind, name in kinds.items()), _must_have_one()],
        "defaultSnippets": [*map(_begun, kinds), *map(_called, capabilities.values())],
    }


def _has(definition: Schema, key: str) -> bool:
    return key in definition["properties"]


def _own_keys(definitions: Mapping[str, Schema], kinds: Mapping[str, str]) -> Schema:
    """The keys that say a kind; what may stand there is said where the kind is chosen."""
    return {kind: {"description": definitions[name]["description"]} for kind, name in kinds.items()}


def _any_default(properties: Schema) -> Schema:
    """`default` of a `switch` is a list of steps, of every other step an output."""
    return {"description": properties["default"]["description"]}


def _chosen(kind: str, name: str) -> Schema:
    return {"if": {"type": "object", "required": [kind]}, "then": {"$ref": f"#/$defs/{name}"}}


def _must_have_one() -> Schema:
    """Where no kind is said, an action is asked for."""
    none = {"type": "object", "not": {"anyOf": [{"required": [kind]} for kind in STEPS]}}
    return {"if": none, "then": {"required": ["action"]}}


def _begun(kind: str) -> Schema:
    first_line = (STEPS[kind].__doc__ or "").strip().splitlines()[0]
    body = {kind: STARTS[kind], **BESIDE.get(kind, {})}
    return {"label": kind, "description": first_line, "body": body}


def _called(capability: Capability[Any, Any]) -> Schema:
    """A whole call of a capability, with what it needs."""
    verb = capability.name.rpartition(".")[2]
    needed = [name for name, info in capability.takes.model_fields.items() if info.is_required()]
    body: dict[str, Any] = {"id": f"${{1:{verb}}}", "action": capability.name}
    if needed:
        body["with"] = {name: f"${place}" for place, name in enumerate(needed, start=2)}
    if capability.effect is Effect.REVERSIBLE:
        body["for"] = "24h"
    return {"label": f"action: {capability.name}", "description": capability.summary, "body": body}
