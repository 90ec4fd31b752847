"""Tables of keys: what may stand at each, what it is unless said, what it means."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from orchestrator.alerts.alert import Alert
from orchestrator.language.model import StepKeys
from orchestrator.language.schema.plain import Schema, plain_schema
from orchestrator.language.schema.values import literal
from orchestrator.language.typed import TypeName

_REFERENCES = {
    "Duration": "duration", "Condition": "condition", "Value": "expression", "Type": "type", "Step": "step",
    "FailureKind": "[kind of failure](#failures)",
}  # fmt: skip
_FORMATS = {
    "ip": "address", "network": "network", "domain": "domain", "account": "account", "host": "host", "hash": "hash",
    "mail": "mail", "duration": "duration", "date-time": "time", "file": "file",
}  # fmt: skip
_WORDS = {
    "string": "text", "integer": "number", "number": "number", "boolean": "boolean", "object": "mapping",
    "array": "list",
}  # fmt: skip
_ELSEWHERE = ("By", "Escalate", "Schedule", "Manual", "Expect")
"""models that have a heading of their own on the page"""
TYPES: Mapping[str, str] = {
    "text": "text of at most 16,384 characters",
    "number": 'a number; `"10"` is none',
    "boolean": "`true` or `false`",
    "address": "an IPv4 or IPv6 address",
    "network": "a network, as `10.0.0.0/8`",
    "domain": "a domain name",
    "hash": "an MD5, SHA-1, SHA-256 or SHA-512",
    "account": "the name of an account, in any case of letters",
    "host": "the name of a machine",
    "mail": "a mail address",
    "url": "a web address, with its scheme",
    "time": "a time in ISO 8601",
    "severity": "informational, low, medium, high or critical",
    "any": "anything",
}
"""What an author means by each word that names a type."""


ALERT: Mapping[str, str] = {
    "alert.id": "the source's own, or a stable hash",
    "alert.key": "what dedupes: source, id, and what makes a repeat new",
    "alert.time": "when it happened, as the source says (UTC)",
    "alert.severity": 'ordered: `alert.severity >= "high"`',
    "alert.confidence": "how sure the source is",
    "alert.status": "where it stands at its source",
    "alert.case": "the incident that exists already",
    "alert.title": "what happened, in a few words",
    "alert.description": "what happened, in many",
    "alert.attack": "MITRE ATT&CK technique ids",
    "alert.url": "the web address that it is about",
    "alert.domain": "the domain that it is about",
    "alert.observables": "what was seen, each with `type` and `value`; see the filter `of_type`",
    "alert.raw": "the original as decoded; only the paths that a playbook names travel with its run",
}
"""What the fields of an alert mean whose names do not say it."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; bars in cells do not end them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def definition(name: str) -> Schema:
    """What the schema says of a model."""
    schema = plain_schema()
    found: Schema = schema if name == "PlaybookDocument" else schema["$defs"][name]
    return found


def doc(name: str) -> str:
    """What a model means, in the words of its docstring."""
    return str(definition(name)["description"])


def keys(name: str) -> str:
    """The keys of a model; of a step those of its own kind."""
    if name == "StepKeys":
        return _table_of(_shared())
    own = definition(name)
    shared = StepKeys.model_fields if name.endswith("Step") else {}
    kept = {key: one for key, one in own["properties"].items() if key not in shared}
    if name == "SwitchStep":
        kept["default"] = own["properties"]["default"]
    return _table_of(kept, own.get("required", ()))


def _shared() -> Mapping[str, Schema]:
    """What any step may have: as an action has it."""
    properties = definition("ActionStep")["properties"]
    return {name: properties[name] for name in StepKeys.model_fields}


def _table_of(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> str:
    needed = set(required)
    return table(("key", "what may stand there", "unless said", "meaning"), _rows(properties, needed))


def _rows(properties: Mapping[str, Schema], needed: set[str]) -> Iterator[tuple[str, ...]]:
    for key, node in properties.items():
        name = f"**`{key}`**" if key in needed else f"`{key}`"
        default = f"`{_shown(node['default'])}`" if "default" in node else ("needed" if key in needed else "")
        yield name, kind(node), default, node.get("description", "")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def kind(node: Schema) -> str:
    """What may stand there, in a few words."""
    if "enum" in node or "const" in node:
        return _one_of([one for one in node.get("enum", [node.get("const")]) if one is not None])
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return _REFERENCES.get(name) or (f"mapping, [as here](#{name.lower()})" if name in _ELSEWHERE else "mapping")
    if "anyOf" in node:
        return " or ".join(dict.fromkeys(kind(one) for one in node["anyOf"] if one.get("type") != "null"))
    if node.get("type") == "array":
        return _list(node)
    if node.get("type") == "object" and isinstance(node.get("additionalProperties"), dict):
        return _mapping(node["additionalProperties"])
    return _plain(node)


def _one_of(words: Sequence[Any]) -> str:
    if tuple(words) == get_args(TypeName):
        return "the name of a type"
    *first, last = [f"`{one}`" for one in words]
    return f"{', '.join(first)} or {last}" if first else last


def _list(node: Schema) -> str:
    inner = kind(node.get("items", {}))
    return {"step": "steps", "anything": "list"}.get(inner, f"list of {inner}")


def _mapping(value: Schema) -> str:
    inner = kind(value)
    return "mapping" if inner == "anything" else f"mapping of names to {inner}"


def _plain(node: Schema) -> str:
    if node.get("format") in _FORMATS:
        return _FORMATS[node["format"]]
    words = node.get("type", "anything")
    names = [_WORDS.get(one, one) for one in ([words] if isinstance(words, str) else words) if one != "null"]
    text = " or ".join(names)
    if "minimum" in node and "maximum" in node:
        return f"{text}, {node['minimum']} to {node['maximum']}"
    return "id" if node.get("pattern", "").startswith("^[a-z][a-z0-9_]{0,62}") else text


def types() -> str:
    """Every word that names a type."""
    return table(("type", "meaning"), ((f"`{name}`", TYPES[name]) for name in get_args(TypeName)))


def alert() -> str:
    """Every field of the alert."""
    schema = Alert.model_json_schema()
    return table(("field", "type", "meaning"), _fields("alert", schema, schema["$defs"]))


def _fields(prefix: str, schema: Schema, definitions: Mapping[str, Schema]) -> Iterator[tuple[str, str, str]]:
    flat = literal({**schema, "$defs": definitions})["properties"]
    for name, node in schema["properties"].items():
        path = f"{prefix}.{name}"
        inner = _model_of(node, definitions)
        if inner is None:
            yield f"`{path}`", kind({**node, **flat[name]}), ALERT.get(path, "")
        else:
            yield f"`{path}`", "mapping", " ".join(inner.get("description", "").split())
            yield from _fields(path, inner, definitions)


def _model_of(node: Schema, definitions: Mapping[str, Schema]) -> Schema | None:
    """The model that a field holds, where it holds one."""
    options = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
    names = [one["$ref"].rpartition("/")[2] for one in options if "$ref" in one]
    return definitions[names[0]] if names and "properties" in definitions[names[0]] else None
