"""Capabilities in the schema: their names with what they do, and the parameters and outputs of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.contract import Capability, Effect
from orchestrator.errors import FailureKind
from orchestrator.language.schema.plain import Schema
from orchestrator.language.schema.values import literal, templated

Some = Capability[Any, Any]
NAMES = "#/$defs/Capability"
"""the definition of the names of capabilities"""
EFFECTS: Mapping[Effect, str] = {
    Effect.READ: "reads, changes nothing",
    Effect.ADDITIVE: "adds something, nothing to undo",
    Effect.REVERSIBLE: "changes something that can be undone: say `for: 24h` or `keep: true`",
    Effect.IRREVERSIBLE: "cannot be undone: cover it with an approval or say `unattended: true`",
}
"""What each class of effect means for the author of a step."""


def with_actions(definitions: dict[str, Schema], capabilities: Mapping[str, Some]) -> None:
    """Add the parameters and outputs of each capability, and choose them by the name that a step gives."""
    for name, capability in capabilities.items():
        definitions[takes_name(name)] = _parameters(capability)
        definitions[result_names(name)] = _result(capability)
    step = definitions["ActionStep"]
    definitions["Capability"] = _names(capabilities)
    step["properties"]["action"] = {"description": step["properties"]["action"]["description"], "$ref": NAMES}
    step["allOf"] = [one for capability in capabilities.values() for one in _rules(capability)]


def takes_name(capability: str) -> str:
    """The definition of a capability's parameters."""
    return f"{capability} takes"


def result_names(capability: str) -> str:
    """The definition of what a capability gives."""
    return f"{capability} gives"


def told(capability: Some) -> str:
    """What a capability does, for whoever chooses one."""
    return f"{capability.summary} ({EFFECTS[capability.effect]})"


def _names(capabilities: Mapping[str, Some]) -> Schema:
    """With what each does, and whether it leaves something behind."""
    told_of = [told(one) for one in capabilities.values()]
    return {"title": "a capability", "type": "string", "enum": list(capabilities), "enumDescriptions": told_of}


def _parameters(capability: Some) -> Schema:
    """Typed, the required ones marked; a template may stand for any of them."""
    made = capability.takes.model_json_schema()
    properties = templated(made)["properties"] if made.get("properties") else {}
    required = made.get("required", [])
    described = {
        name: {**one, "description": _marked(one.get("description", ""), name in required)}
        for name, one in properties.items()
    }
    doc = " ".join((capability.takes.__doc__ or "").split())
    return {
        "title": capability.name, "description": f"{told(capability)}\n\n{doc}", "type": "object",
        "properties": described, "required": required, "additionalProperties": False,
    }  # fmt: skip


def _marked(description: str, required: bool) -> str:
    return ("required" if required else "optional") + (f": {description}" if description else "")


def _result(capability: Some) -> Schema:
    """Any part of it: a `default` or an answer in a test says what matters."""
    made = literal(capability.gives.model_json_schema())
    doc = " ".join((capability.gives.__doc__ or "").split())
    return {
        "title": f"output of {capability.name}", "description": doc, "type": "object",
        "properties": made.get("properties", {}), "additionalProperties": False,
    }  # fmt: skip


def _rules(capability: Some) -> Iterator[Schema]:
    """What a step with this action may say."""
    named = {"properties": {"action": {"const": capability.name}}, "required": ["action"]}
    needs = any(info.is_required() for info in capability.takes.model_fields.values())
    properties: Schema = {"with": {"$ref": f"#/$defs/{takes_name(capability.name)}"}, **_forbidden(capability)}
    yield {"if": named, "then": {"properties": properties, **({"required": ["with"]} if needs else {})}}
    one_route = {**named, "not": {"required": ["all_routes"]}}
    output = {"$ref": f"#/$defs/{result_names(capability.name)}"}
    yield {"if": one_route, "then": {"properties": {"default": output}}}
    if capability.effect is Effect.REVERSIBLE:
        yield {"if": {**named, "not": {"required": ["keep"]}}, "then": {"required": ["for"]}}


def _forbidden(capability: Some) -> dict[str, bool]:
    """The keys that make no sense beside an action of this effect."""
    words = {
        Effect.READ: ("for", "keep", "unattended"),
        Effect.ADDITIVE: ("for", "keep", "all_routes"),
        Effect.REVERSIBLE: ("all_routes",),
        Effect.IRREVERSIBLE: ("for", "keep", "all_routes"),
    }
    return dict.fromkeys(words[capability.effect], False)


def failure_kinds() -> list[str]:
    """The kinds of failure that a test may give an action."""
    return [str(kind) for kind in FailureKind]
