"""What every capability must keep to; a new file in the room is tested on arrival."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from orchestrator.actions.catalog import scan
from orchestrator.contract import Effect
from orchestrator.contract.capabilities import cloud, endpoint, history, identity, mail, ticket, web
from tests.contract.examples import example, whole

CAPABILITIES = scan().capabilities
walk = pytest.mark.parametrize("name", CAPABILITIES)


@walk
def test_a_result_can_be_imagined_from_the_least_parameters(name: str) -> None:
    """Shadow runs and simulated actions never fail for want of an output; what was asked for stands in it."""
    capability = CAPABILITIES[name]
    for parameters in (example(capability), whole(capability)):
        imagined = capability.imagine(parameters)
        assert capability.gives.model_validate_json(imagined.model_dump_json()) == imagined
        for field in set(capability.gives.model_fields) & set(parameters.model_dump(exclude_none=True)):
            assert getattr(imagined, field) == getattr(parameters, field)


@walk
def test_parameters_come_back_from_the_ledger_as_they_went_in(name: str) -> None:
    """They are kept as JSON, and what was recorded is what is sent."""
    parameters = whole(CAPABILITIES[name])
    assert type(parameters).model_validate(parameters.model_dump(mode="json")) == parameters


@walk
def test_every_field_has_a_type_that_can_be_checked(name: str) -> None:
    """No field may hold just anything: a playbook that passes the check reads no field that is not there."""
    for model in (CAPABILITIES[name].takes, CAPABILITIES[name].gives):
        for place, kind in leaves(model, model.__name__):
            assert kind not in (Any, dict, object), place


@walk
def test_what_names_a_target_an_inverse_or_a_state_names_one_that_exists(name: str) -> None:
    """An undo takes what the call took, leads back, and the state can be read with the same words."""
    capability = CAPABILITIES[name]
    fields = set(capability.takes.model_fields)
    assert {capability.target, *capability.parts} - {None} <= fields
    assert capability.name.split(".")[0].isidentifier()
    assert capability.summary.endswith(".")
    assert capability.d3fend is None or re.fullmatch(r"D3-[A-Z]{2,6}", capability.d3fend)
    assert (capability.inverse is not None) == (capability.effect is Effect.REVERSIBLE)
    if capability.inverse is not None:
        inverse, state = CAPABILITIES[capability.inverse], CAPABILITIES[capability.state or ""]
        assert inverse.inverse == capability.name
        assert state.effect is Effect.READ
        assert set(inverse.takes.model_fields) <= fields | {"reason", "note"}
        assert state.gives is capability.gives is inverse.gives
        parameters = whole(capability)
        back = inverse.takes.model_validate(capability.undo_parameters(parameters, inverse))
        assert inverse.effect_of(back) == capability.effect_of(parameters)


def test_two_files_of_one_machine_are_two_effects_on_one_target() -> None:
    """The target is what never-touch lists and people look at; the effect is what is held and undone."""
    one = endpoint.FileOnMachine(host="WS-1", path="/tmp/a")  # noqa: S108
    two = endpoint.FileOnMachine(host="ws-1", path="/tmp/b")  # noqa: S108
    files = endpoint.quarantine_file
    assert files.target_of(one) == files.target_of(two) == "host:ws-1"
    assert files.effect_of(one) == "host:ws-1 path:/tmp/a"
    assert files.effect_of(one) != files.effect_of(two)


def test_durations_are_written_as_everywhere_in_a_playbook() -> None:
    """With a unit; an expression's duration fits too; the ledger and the card show the short form."""
    assert identity.SignIns(account="a", within="36h").within == timedelta(hours=36)
    assert identity.SignIns(account="a", within=timedelta(days=2)).within == timedelta(days=2)
    assert identity.SignIns(account="a", within="36h").model_dump(mode="json")["within"] == "1d12h"
    with pytest.raises(ValidationError, match="no unit"):
        identity.SignIns(account="a", within=30)


def test_what_would_ask_for_everything_is_refused_with_what_to_give() -> None:
    """A search without a criterion, a change of nothing."""
    for model in (mail.Search, ticket.Search, ticket.Change, history.PastRuns):
        with pytest.raises(ValidationError, match="give at least one of"):
            model.model_validate({"ticket": "1"} if model is ticket.Change else {})


def test_names_have_one_spelling() -> None:
    """So that one message, page or key is one target."""
    assert mail.OneMessage(message_id=" <A@b.example> ").message_id == "A@b.example"
    for wrong in ("", "<>", "a b", "<a@b\r\nX: y>", "é@b"):
        with pytest.raises(ValidationError):
            mail.OneMessage(message_id=wrong)
    for wrong in ("evil.example", "javascript:alert(1)", "https:///x", "https://a b"):
        with pytest.raises(ValidationError):
            web.Page(url=wrong)
    with pytest.raises(ValidationError):
        cloud.Key(key="AKIA 1")


def leaves(model: type[BaseModel], place: str) -> Iterator[tuple[str, Any]]:
    """Every field of a model and of the models in it, with its type."""
    for name, field in model.model_fields.items():
        yield from opened(field.annotation, f"{place}.{name}")


def opened(kind: Any, place: str) -> Iterator[tuple[str, Any]]:
    """What a type is made of."""
    if get_origin(kind) is not None:
        yield place, get_origin(kind)
        for inner in get_args(kind):
            if inner is not Ellipsis:
                yield from opened(inner, place)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from leaves(kind, place)
    else:
        yield place, kind
