"""The least parameters that a capability takes, for tests that walk over all of them."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from orchestrator.contract import Capability, Parameters

FIELDS: dict[str, Any] = {
    "account": "alice", "channel": "soc", "code": "duplicate", "domain": "evil.example",
    "file": {"sha256": "a" * 64, "name": "memory.raw", "size": 4096}, "hash": "b" * 64, "host": "ws-1",
    "ip": "203.0.113.7", "key": "AKIAIOSFODNN7EXAMPLE", "list": "travel_allow", "message_id": "<one@evil.example>",
    "path": "/srv/www/shell.php", "pid": 4711, "principal": "arn:aws:iam::123456789012:user/build", "queue": "soc",
    "sender": "billing@evil.example", "tag": "phishing", "tags": ["phishing"], "target": "ip:203.0.113.7",
    "text": "words", "ticket": "1001", "title": "a title", "to": "1002", "url": "https://evil.example/sign-in",
    "value": "203.0.113.7",
}  # fmt: skip
"""an example by the name of the parameter: one name means one thing in all capabilities"""


def example(capability: Capability[Any, Any]) -> Parameters:
    """The required ones; all where the capability wants at least one of several."""
    fields = capability.takes.model_fields
    try:
        return capability.takes.model_validate({name: FIELDS[name] for name in fields if fields[name].is_required()})
    except ValidationError:
        return whole(capability)


def whole(capability: Capability[Any, Any]) -> Parameters:
    """All its parameters that have an example."""
    return capability.takes.model_validate(
        {name: FIELDS[name] for name in capability.takes.model_fields if name in FIELDS}
    )
