"""The JSON schema of a playbook, from which editors complete, explain and complain while one is written.

It says what can be said of a file's shape: keys, types, literals, the parameters of each capability. What only the
checker can know (whether a step ran before it is used, whether an approval covers what it can show) it leaves alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from orchestrator.contract import Capability
from orchestrator.language.schema.actions import result_names, with_actions
from orchestrator.language.schema.plain import plain_schema
from orchestrator.language.schema.steps import with_steps
from orchestrator.language.schema.tests import with_tests

Capabilities = Mapping[str, Capability[Any, Any]]


def playbook_schema(capabilities: Capabilities) -> dict[str, Any]:
    """The schema (JSON Schema 2020-12) of a playbook that may use these capabilities."""
    schema = plain_schema()
    definitions = schema["$defs"]
    with_steps(definitions, capabilities)
    with_actions(definitions, capabilities)
    with_tests(definitions, capabilities)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A playbook of Tocsin",
        **{key: value for key, value in schema.items() if key not in ("title", "$defs")},
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text(capabilities: Capabilities) -> str:
    """The same as the text of a file: a line for each definition, so that a change of one is a change of one line."""
    schema = playbook_schema(capabilities)
    definitions = schema.pop("$defs")
    head = [f"{_compact(key)}: {_compact(value)}" for key, value in schema.items()]
    lines = [f"{_compact(name)}: {_compact(one)}" for name, one in definitions.items()]
    return "{\n" + ",\n".join([*head, '"$defs": {\n' + ",\n".join(lines) + "\n}"]) + "\n}\n"


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


__all__ = ["plain_schema", "playbook_schema", "result_names", "schema_text"]
