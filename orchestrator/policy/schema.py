"""The JSON schema of the policy, from which editors complete and explain while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

import orjson

from orchestrator.contract import Capability
from orchestrator.policy.document import PolicyDocument
from orchestrator.policy.operators import Who
from orchestrator.policy.rates import FORM
from orchestrator.policy.section import Word

WHO = {"enum": ["everyone", "nobody"]}
DURATION = {"type": "string", "pattern": "^([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"}


def policy_schema(capabilities: Mapping[str, Capability[Any, Any]]) -> str:
    """The schema (JSON Schema 2020-12) as the text of a file."""
    made = PolicyDocument.model_json_schema(mode="validation")
    definitions = made["$defs"]
    definitions["Who"] = {"anyOf": [WHO, definitions.get("Who") or Who.model_json_schema()]}
    for one in _properties(definitions["May"]):
        one.pop("default", None)
    new = definitions["NewPlaybooks"]["properties"]
    new["for"] = {**DURATION, "description": "how long after it came into force first"}
    made["properties"]["new_playbooks"] = {"anyOf": [{"enum": list(get_args(Word))}, {"$ref": "#/$defs/NewPlaybooks"}]}
    made["properties"]["rates"]["additionalProperties"] = {"type": "string", "pattern": f"^{FORM}$"}
    definitions.pop("Rate")
    window = definitions["Window"]["properties"]
    window["at_most"] = {**DURATION, "default": "4h", "description": "how long an action waits in it"}
    changing = [name for name, one in sorted(capabilities.items()) if one.effect.mutates]
    definitions["Modes"]["properties"]["capabilities"]["propertyNames"] = {"enum": changing}
    _short_budgets(definitions)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **made, "title": "A policy of Tocsin"}
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode() + "\n"


def _short_budgets(definitions: dict[str, Any]) -> None:
    """Limits as people write them: the number, the windows or the share alone, or with who is asked."""
    number, unlimited = {"type": "integer", "minimum": 0, "maximum": 1_000_000}, {"enum": ["unlimited"]}
    windows = {
        "type": "object", "minProperties": 1, "maxProperties": 10, "additionalProperties": number,
        "propertyNames": DURATION,
    }  # fmt: skip
    share = {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,4})?\s*%$"}
    for name, field, short in (("OfARun", "targets", number), ("Limit", "targets", windows), ("Share", "share", share)):
        long = definitions[name]
        long["properties"][field] = short if name == "Share" else {"anyOf": [short, unlimited]}
        long.pop("minProperties", None)
        definitions[name] = {"anyOf": [short, *([] if name == "Share" else [unlimited]), {**long, "minProperties": 1}]}
    definitions["Share"]["anyOf"][-1]["properties"]["within"] = DURATION
    definitions["Budgets"]["properties"]["within"] = DURATION
    for one in _properties(definitions["Budgets"]):
        if "default" in one and not isinstance(one["default"], str):
            one.pop("default")


def _properties(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from definition["properties"].values()
