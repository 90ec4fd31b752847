"""What every integration must keep to; a new file in the room is tested on arrival."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import pytest

from orchestrator.actions.catalog import scan
from orchestrator.actions.evidence import own_evidence
from orchestrator.actions.history import own_history
from orchestrator.actions.list_entries import ListEntries
from orchestrator.actions.site import build_site
from orchestrator.actions.site_lists import SiteNow, site_lists
from orchestrator.audit.database import make_engine
from orchestrator.contract import Idempotent, Implementation, Readable, Unrepeatable
from orchestrator.language.reference_files import ReferenceKeeper

CATALOG = scan()
NO_DATABASE = make_engine("postgresql://nobody@127.0.0.1:1/none")
OWN = (
    own_history(NO_DATABASE, CATALOG.capabilities),
    site_lists(SiteNow(ReferenceKeeper(Path("none")), ListEntries(NO_DATABASE))),
    own_evidence(lambda: build_site(CATALOG, {}, {})),
)
PRODUCTS = {**CATALOG.products, **{one.name: one for one in OWN}}
EVERY = [(product, name) for product in PRODUCTS for name in PRODUCTS[product].implementations]


def of(product: str, capability: str) -> Implementation:
    return PRODUCTS[product].implementations[capability]


def test_the_room_is_not_empty() -> None:
    """The walk below walks over something."""
    assert {"lab", "openldap", "crowdsec", "request_tracker"} <= set(CATALOG.products)


@pytest.mark.parametrize(("product", "capability"), EVERY)
def test_a_function_takes_and_gives_what_its_capability_says(product: str, capability: str) -> None:
    """So that the gateway hands it the right parameters, and playbooks find the fields that the checker promised."""
    implementation = of(product, capability)
    hints = typing.get_type_hints(implementation.run)
    gives = hints.pop("return")
    takes = [hints[name] for name in inspect.signature(implementation.run).parameters][1]
    assert implementation.capability is CATALOG.capabilities[capability]
    assert implementation.capability.takes in (takes, *typing.get_args(takes))
    assert gives is implementation.capability.gives


@pytest.mark.parametrize(("product", "capability"), EVERY)
def test_a_function_says_how_its_action_repeats(product: str, capability: str) -> None:
    """What reads may be repeated; what is read back says when that proves something, and finds what a call gives."""
    implementation = of(product, capability)
    assert isinstance(implementation.repeats, Idempotent | Readable | Unrepeatable)
    if not implementation.capability.effect.mutates:
        assert isinstance(implementation.repeats, Idempotent)
    if isinstance(implementation.repeats, Readable):
        assert implementation.repeats.settles_within > 0
        found = typing.get_type_hints(implementation.repeats.find)["return"]
        assert set(typing.get_args(found)) == {implementation.capability.gives, type(None)}


@pytest.mark.parametrize(("product", "capability"), EVERY)
def test_who_can_do_something_can_also_undo_it_and_read_it(product: str, capability: str) -> None:
    """An effect that expires must find its undo, and the undo the state, at the product that made it."""
    implementation = of(product, capability)
    able = PRODUCTS[product].implementations
    for other in (implementation.capability.inverse, implementation.capability.state):
        assert other is None or other in able
    assert inspect.getdoc(implementation.run)
