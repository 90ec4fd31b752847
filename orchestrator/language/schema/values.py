"""The schema of values: of alerts, parameters and outputs. Templates may stand for a parameter of any type."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.language.schema.plain import Schema

TEMPLATE: Schema = {"type": "string", "pattern": r"\{[{%]"}
FORMS: Mapping[str, tuple[str, str]] = {
    "ip": (r"^\s*([0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\s*$", "an IPv4 or IPv6 address"),
    "network": (r"^\s*[0-9A-Fa-f:.]+(/[0-9.]+)?\s*$", "a network: 10.0.0.0/8"),
    "domain": (r"^[^\s/@:]{1,253}$", "a domain name"),
    "account": (r"^[^\x00-\x1f]{1,320}$", "the name of an account"),
    "host": (r"^[^\s\x00-\x1f]{1,253}\s*$", "the name of a machine"),
    "hash": (
        r"^\s*([0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128})\s*$",
        "an MD5, SHA-1, SHA-256 or SHA-512 in hexadecimal",
    ),
}
"""How a literal of each value type looks, and what it is called."""
_KEPT = (
    "description", "type", "enum", "const", "pattern", "minimum", "maximum", "minItems", "maxItems", "minLength",
    "maxLength",
)  # fmt: skip


def literal(made: Schema) -> Schema:
    """A model's schema without references, as a literal has to be."""
    return _plain(made, made.get("$defs", {}), templates=False)


def templated(made: Schema) -> Schema:
    """The same where a template may stand for each value inside the outermost object."""
    definitions = made.get("$defs", {})
    properties = {name: _value(one, definitions) for name, one in made.get("properties", {}).items()}
    return {"type": "object", "properties": properties}


def _value(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """A value, or a template that gives it; text is either anyway."""
    plain = _plain(node, definitions, templates=True)
    if plain.get("type") in ("string", ["string", "null"]) and not {"pattern", "enum"} & plain.keys():
        return plain
    if not plain.keys() - {"description"}:
        return plain
    description = {"description": plain.pop("description")} if "description" in plain else {}
    if "enum" in plain:  # editors complete words of alternatives, and none below a condition
        return {**description, "anyOf": [plain, TEMPLATE]}
    return {**description, "if": TEMPLATE, "else": plain}


def _plain(node: Schema, definitions: Mapping[str, Schema], *, templates: bool) -> Schema:
    if "$ref" in node:
        found = definitions[node["$ref"].rpartition("/")[2]]
        own = {key: value for key, value in node.items() if key != "$ref"}
        return _plain({**found, **own}, definitions, templates=templates)
    inner = _value if templates else lambda one, known: _plain(one, known, templates=False)
    made = {key: node[key] for key in _KEPT if key in node}
    if "anyOf" in node or "oneOf" in node:
        made |= _either([_plain(one, definitions, templates=templates) for one in node.get("anyOf") or node["oneOf"]])
    if node.get("format") in FORMS:
        pattern, name = FORMS[node["format"]]
        made |= {"pattern": pattern, "patternErrorMessage": f"This is {name}, or a template." if templates else name}
        made.setdefault("description", name)
    if isinstance(node.get("items"), dict):
        made["items"] = inner(node["items"], definitions)
    if "properties" in node:
        made["properties"] = {name: inner(one, definitions) for name, one in node["properties"].items()}
        made["additionalProperties"] = False
        made |= {"required": node["required"]} if "required" in node else {}
    return made


def _either(options: list[Schema]) -> Schema:
    """One of several; where all but one are null, that one, which may be null."""
    some = [one for one in options if one.get("type") != "null"]
    if len(some) != 1:
        return {"anyOf": options}
    one = dict(some[0])
    if isinstance(one.get("type"), str) and len(some) < len(options):
        one["type"] = [one["type"], "null"]
        if "enum" in one:
            one["enum"] = [*one["enum"], None]
    return one
