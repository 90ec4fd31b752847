"""What `tocsin run` asks for: a run that somebody wants, with an alert or with inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.requests import StartRequest
from orchestrator.errors import TocsinError
from orchestrator.language.expressions import Reason
from orchestrator.language.packing import Packer
from orchestrator.language.program import Playbook
from orchestrator.language.typed import Spec, validate_all
from orchestrator.matching.choose import ChosenPlaybook
from orchestrator.matching.ids import run_name
from orchestrator.matching.match import Match

BY_HAND = Reason(holds=True, values={}, error="started by hand")


class NotStarted(TocsinError):
    """A run that nobody may start so; nothing was started."""


def request_for_alert(
    playbook: Playbook, alert: Alert, key: str, *, requester: str, shadow: bool
) -> tuple[Alert, StartRequest, dict[str, Any]]:
    """A run of its own on this alert, whether it matches or not: the alert under its key, the request, its record."""
    own = alert.model_copy(update={"key": key})
    chosen = ChosenPlaybook(Match(playbook, BY_HAND, None))
    changes = {"requester": requester, **({"mode": "shadow"} if shadow else {})}
    return own, chosen.request(own).model_copy(update=changes), chosen.told


def request_with_inputs(
    playbook: Playbook, inputs: Mapping[str, Any], key: str, packer: Packer, *, requester: str, shadow: bool
) -> StartRequest:
    """A run with inputs; raises `NotStarted` where the playbook wants none, or others."""
    if playbook.model.trigger.manual is None:
        raise NotStarted(f"{playbook.name} is not for starting by hand; add `manual: {{}}` below its `trigger:`")
    try:
        values = validate_all(playbook.model.inputs, inputs)
    except ValueError as error:
        raise NotStarted(f"{playbook.name}: {error}") from None
    run = run_name(playbook.name, key)
    return StartRequest(
        playbook=playbook.name,
        digest=playbook.digest,
        document=playbook.document,
        bundle=playbook.bundle,
        mode="shadow" if shadow else playbook.model.mode,
        title=playbook.title,
        how="manual",
        alert={},
        inputs=packer.pack({name: value for name, value in values.items() if value is not None}),
        requester=requester,
        alert_key=key,
        severity="informational",
        group_key=None,
        join=0.0,
        workflow_id=run,
        run=run,
        reason={"by": requester},
    )


def with_subs(playbook: Playbook) -> Iterator[Playbook]:
    """The playbook and all that it calls: each has to be known, or its runs refuse themselves."""
    yield playbook
    for sub in playbook.uses.values():
        yield from with_subs(sub)


def typed_inputs(specs: Mapping[str, Spec], given: Mapping[str, str]) -> dict[str, Any]:
    """Inputs as somebody wrote them at a terminal: text is text, anything else is JSON, a list may have commas."""
    return {name: _typed(specs.get(name), text) for name, text in given.items()}


def _typed(spec: Spec | None, text: str) -> Any:
    if spec is None or (spec.list is None and spec.type not in ("number", "boolean", "any")):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return [part.strip() for part in text.split(",")] if spec.list is not None else text
