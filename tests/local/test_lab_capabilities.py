"""The lab does every capability, and each of them repeats and is undone as its integration says."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from integrations.lab import lab as product
from orchestrator.actions.catalog import scan
from orchestrator.contract import Capability, Effect, Idempotent, Readable, TimedOut
from orchestrator.local.lab import Lab
from orchestrator.local.lab.systems.endpoints import MALWARE_PATH
from orchestrator.local.lab.systems.mailboxes import SIGN_IN
from tests.contract.examples import FIELDS, whole
from tests.integrations.support import Caller, configured

OURS = ("history.", "list.", "evidence.")
"""families that are about Tocsin itself and the site, not about a product"""
CAPABILITIES = {name: one for name, one in scan().capabilities.items() if not name.startswith(OURS)}
CHANGING = [name for name, one in CAPABILITIES.items() if one.effect.mutates]
UNDONE = [name for name, one in CAPABILITIES.items() if one.effect is Effect.REVERSIBLE]
THERE = {
    "host": "ws-2", "path": MALWARE_PATH, "pid": 4711, "message_id": "invoice-1@evil.example", "url": SIGN_IN,
    "principal": "arn:aws:iam::123456789012:user/build",
}  # fmt: skip
"""what the lab knows, where that is not what other examples name"""


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with Lab(tmp_path) as lab:
        yield lab


@pytest.fixture
async def call(lab: Lab) -> Caller:
    """A caller; the tickets 1001 and 1002 are open."""
    call = Caller(configured(product, url=lab.url, token=lab.token))
    for title in ("one", "two"):
        await call("ticket.open", title=title)
    return call


async def parameters(call: Caller, capability: Capability[Any, Any]) -> dict[str, Any]:
    """Parameters that name what is there."""
    given = whole(capability).model_dump(mode="json", exclude_none=True)
    given |= {name: value for name, value in THERE.items() if name in given}
    if "file" in given:
        given["file"] = (await call("endpoint.collect_file", host="ws-2", path=MALWARE_PATH)).file
    return given


def held(lab: Lab) -> str:
    """All that the lab's systems hold, without its log."""
    return repr([sorted(vars(system).items()) for system in lab.state.systems.all])


async def ready(call: Caller, name: str) -> dict[str, Any]:
    """Parameters that name what is there, and the lab in the state that the call is to change."""
    given = await parameters(call, CAPABILITIES[name])
    if name in UNDONE:
        await call.ask(CAPABILITIES[name].inverse or "", undo(name, given))
    return given


def undo(name: str, given: dict[str, Any]) -> dict[str, object]:
    """The parameters of the inverse."""
    capability = CAPABILITIES[name]
    return capability.undo_parameters(capability.takes(**given), CAPABILITIES[capability.inverse or ""])


@pytest.mark.parametrize("name", CAPABILITIES)
async def test_the_lab_does_it_and_gives_what_the_capability_promises(call: Caller, lab: Lab, name: str) -> None:
    """What was asked for stands in the answer; a change is seen in the lab, a read changes nothing."""
    capability = CAPABILITIES[name]
    given = await ready(call, name)
    before = held(lab)
    answer = await call.ask(name, given)
    assert isinstance(answer, capability.gives)
    wanted = capability.takes(**given)
    for field in set(capability.gives.model_fields) & set(given) - {"status"}:
        assert getattr(answer, field) == getattr(wanted, field)
    assert (held(lab) != before) == capability.effect.mutates


@pytest.mark.parametrize("name", CHANGING)
async def test_a_lost_answer_is_made_good_as_the_integration_says(call: Caller, lab: Lab, name: str) -> None:
    """Asked again it changes nothing more, or it is found by its key, and by no other."""
    given = await ready(call, name)
    implementation = product.implementations[name]
    for route in lab.state.routes:
        lab.misbehave(route.operation, "cut_answer", 1 if route.method != "GET" else 0)
    with pytest.raises(TimedOut) as lost:
        await call.ask(name, given, key="it")
    once = held(lab)
    for route in lab.state.routes:
        lab.misbehave(route.operation, "ok")

    assert lost.value.in_doubt
    if isinstance(implementation.repeats, Readable):
        assert isinstance(await found(call, name, given, "it"), CAPABILITIES[name].gives)
        assert await found(call, name, given, "another") is None
    else:
        assert isinstance(implementation.repeats, Idempotent)
        await call.ask(name, given, key="it")
    assert held(lab) == once


async def found(call: Caller, name: str, given: dict[str, Any], key: str) -> Any:
    return await call.find(name, key=key, **given)


@pytest.mark.parametrize("name", UNDONE)
async def test_an_undo_leads_back_to_the_state_before(call: Caller, name: str) -> None:
    """The inverse is called with what the call itself had; the state is read with it, too."""
    given = await ready(call, name)
    state = CAPABILITIES[CAPABILITIES[name].state or ""]

    async def now() -> dict[str, Any]:
        words = {word: given[word] for word in state.takes.model_fields if word in given}
        return dict((await call.ask(state.name, words)).model_dump(exclude={"entry", "policy"}))

    before = await now()
    await call.ask(name, given)
    between = await now()
    await call.ask(CAPABILITIES[name].inverse or "", undo(name, given))
    assert before != between
    assert before == await now()


async def test_the_examples_are_about_what_the_lab_has() -> None:
    """A name that no parameter has would make the walk above walk past the lab."""
    assert not set(THERE) - set(FIELDS)
