"""The schema that follows from the models alone, put as an author sees it: no null, no alternatives of steps."""

from __future__ import annotations

from typing import Any, get_args

from orchestrator.language.model import PlaybookDocument
from orchestrator.language.typed import TypeName

Schema = dict[str, Any]

OWN: dict[str, Schema] = {
    "Duration": {
        "title": "duration",
        "type": "string",
        "pattern": r"^\s*(?=[0-9])([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?\s*$",
        "patternErrorMessage": "A duration has a unit: 90s, 30m, 24h, 7d, 1h30m.",
    },
    "Condition": {
        "title": "condition",
        "type": ["string", "boolean"],
        "pattern": r"^(?!\s*\{\{)",
        "patternErrorMessage": "A condition stands bare, without {{ }}.",
    },
    "Value": {
        "title": "expression",
        "type": ["string", "number", "boolean"],
        "pattern": r"^(?!\s*\{\{)",
        "patternErrorMessage": "An expression stands bare here, without {{ }}.",
    },
    "Type": {
        "title": "type",
        "anyOf": [
            {"enum": list(get_args(TypeName)), "title": "one value of this type"},
            {"type": "array", "title": "one of these words", "items": {"type": "string"}, "minItems": 1},
            {"$ref": "#/$defs/Spec"},
        ],
    },
}
"""What several models share, by the name of the definition."""
_STEP = "#/$defs/ActionStep"


def plain_schema() -> Schema:
    """The playbook's schema with a definition for each model; steps are `#/$defs/Step`, which is left to be said."""
    made = PlaybookDocument.model_json_schema(by_alias=True)
    definitions = {name: _tidy(one) for name, one in made.pop("$defs").items()}
    return {**_tidy(made), "$defs": {**definitions, **OWN}}


def _tidy(node: Any) -> Any:
    """A node as an author sees it, and all inside it."""
    if isinstance(node, list):
        return [_tidy(one) for one in node]
    if not isinstance(node, dict):
        return node
    if "properties" in node:
        return _object(node)
    node = _without_null(node)
    if "oneOf" in node and {"$ref": _STEP} in node["oneOf"]:
        return {"$ref": "#/$defs/Step"}
    if "patternProperties" in node:
        node |= _named(**node.pop("patternProperties"))
    if node.get("format") in OWN:
        node["$ref"] = f"#/$defs/{node.pop('format')}"
    if node.get("$ref") == "#/$defs/Spec":
        node["$ref"] = "#/$defs/Type"
    return {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}


def _object(node: Schema) -> Schema:
    """A model: its properties by their names, of which one may be `title` or `default`."""
    rest = {key: value for key, value in node.items() if key not in ("properties", "title", "description")}
    properties = {name: _tidy(one) for name, one in node["properties"].items()}
    return {"description": _one_line(node.get("description", "")), **rest, "properties": properties}


def _named(**patterns: Any) -> Schema:
    """An object whose keys have a form; editors complete its values so."""
    ((form, value),) = patterns.items()
    return {"propertyNames": {"pattern": form}, "additionalProperties": value}


def _one_line(text: str) -> str:
    """A docstring without the line breaks of its source; paragraphs stay."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _without_null(node: Schema) -> Schema:
    """Nobody writes `null` for what may be left out."""
    node = dict(node)
    some = [one for one in node.get("anyOf", []) if one != {"type": "null"}]
    if len(some) == 1:
        del node["anyOf"]
        node = {**some[0], **node}
    elif some:
        node["anyOf"] = some
    return node


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and not isinstance(value, str | int | bool))
