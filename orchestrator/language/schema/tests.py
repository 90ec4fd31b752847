"""Tests in the schema: alerts with the fields of the model, the answers of each capability, the names of actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.alerts.alert import Alert
from orchestrator.contract import Capability
from orchestrator.language.schema.actions import NAMES, failure_kinds, result_names, told
from orchestrator.language.schema.plain import Schema
from orchestrator.language.schema.values import literal


def with_tests(definitions: dict[str, Schema], capabilities: Mapping[str, Capability[Any, Any]]) -> None:
    """Say what may stand in a test."""
    definitions["Alert"] = _alert()
    test, later = definitions["Test"]["properties"], definitions["JoinLater"]["properties"]
    for place in (test, later):
        place["alert"] = {"description": place["alert"]["description"], "$ref": "#/$defs/Alert"}
    test["answers"]["additionalProperties"] = {"$ref": "#/$defs/Answer"}
    definitions["Answer"] = _answer()
    test["given"] |= {"properties": {name: _given(one) for name, one in capabilities.items()}}
    expect = definitions["Expect"]["properties"]
    expect["not_called"]["items"] = {"$ref": NAMES}
    expect["calls"]["items"] = {
        "if": {"type": "object"},
        "then": {"propertyNames": {"$ref": NAMES}, "minProperties": 1, "maxProperties": 1},
        "else": {"$ref": NAMES},
    }


def _alert() -> Schema:
    """Any part of an alert; `from` names a file that holds the rest."""
    made = _nothing_required(literal(Alert.model_json_schema()))
    sample = {"type": "string", "description": "a file below samples/ in the folder of playbooks"}
    return {**made, "title": "an alert", "properties": {"from": sample, **made["properties"]}}


def _nothing_required(node: Schema) -> Schema:
    node = {key: value for key, value in node.items() if key != "required"}
    if "properties" in node:
        node["properties"] = {name: _nothing_required(one) for name, one in node["properties"].items()}
    return node


def _answer() -> Schema:
    """Of an approval a word, of a question its fields or the word for silence."""
    return {
        "title": "an answer",
        "description": "`approve` or `deny` an approval, the fields of a question, `done`, or `expire`.",
        "if": {"type": "object"},
        "else": {"enum": ["approve", "deny", "expire", "done"]},
    }


def _given(capability: Capability[Any, Any]) -> Schema:
    """An answer, or several, call after call."""
    output = f"#/$defs/{result_names(capability.name)}"
    fails = {"enum": failure_kinds(), "description": "the kind of failure"}
    one: Schema = {"properties": {"fails": fails}, "if": {"not": {"anyOf": _apart()}}, "then": {"$ref": output}}
    return {
        "description": told(capability),
        "if": {"type": "array"},
        "then": {"items": {"type": "object", **one}},
        "else": {"type": ["object", "array"], **one},
    }


def _apart() -> list[Schema]:
    """Answers that are no output: a failure, an answer to some parameters only, those of all routes."""
    return [{"required": [key]} for key in ("fails", "when", "then", "answers", "failed")]
