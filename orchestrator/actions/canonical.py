"""A request in its canonical form: what a card shows, what an approval is bound to, what the gateway sends."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import orjson

from orchestrator.language.host import ActionCall, Record, RunContext


class CanonicalRequest(Record):
    """One request to one integration, parameters complete with defaults and in their one spelling.

    `expires` is in seconds; `undo` names the capability that takes the effect back.
    """

    step: str
    path: tuple[str, ...]
    capability: str
    integration: str
    target: str
    parameters: dict[str, Any]
    expires: float | None = None
    undo: str | None = None


def digest_of(requests: Sequence[CanonicalRequest]) -> str:
    """SHA-256 over the canonical JSON of the requests, in their order."""
    return _digest([request.model_dump(mode="json") for request in requests])


def parameters_digest(request: CanonicalRequest) -> str:
    """SHA-256 over what is sent: two calls under one ledger key must not differ in it."""
    return _digest([request.capability, request.integration, request.parameters])


def ledger_key(context: RunContext, call: ActionCall, integration: str) -> str:
    """The key of an effect: event, playbook digest, path of step ids, and the integration; no id of Temporal's.

    In a sub-playbook the versions and paths of the steps that called it come before its own path.
    """
    path = [*context.within, *call.path]
    return _digest([context.event, context.digest, path, call.action, integration]).removeprefix("sha256:")


def _digest(value: object) -> str:
    return "sha256:" + hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
