"""`list.contains`: the site's own lists, of any size, asked through the gateway like any product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog, scan
from orchestrator.actions.gateway import Gateway
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import build_site
from orchestrator.actions.site_lists import look_up, site_lists
from orchestrator.audit.reading import about
from orchestrator.contract import InvalidCall, TargetUnavailable
from orchestrator.contract.capabilities import lists
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus
from orchestrator.language.reference_files import ReferenceKeeper
from tests.actions.bench_target import context


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A site with 5,000 addresses and a few networks."""
    (tmp_path / "lists").mkdir()
    addresses = "".join(f"10.{number // 250}.{number % 250}.7\n" for number in range(5_000))
    (tmp_path / "lists" / "many.txt").write_text(addresses)
    (tmp_path / "lists" / "many.yaml").write_text("title: Many\ntype: ip\nfile: many.txt\n")
    (tmp_path / "lists" / "ours.yaml").write_text(
        "title: Ours\ntype: network\nentries: [192.0.2.0/24, '2001:db8::/32']\n"
    )
    return tmp_path


@pytest.fixture
def keeper(folder: Path) -> ReferenceKeeper:
    return ReferenceKeeper(folder, every=0)


def gateway(keeper: ReferenceKeeper, engine: AsyncEngine) -> Gateway:
    """A gateway whose only product are the site's own lists."""
    ledger = PostgresLedger(engine)
    catalog = Catalog(scan().capabilities, {"site_lists": site_lists(keeper)})
    site = build_site(catalog, {"site_lists": {}}, {})
    return Gateway(capabilities=catalog.capabilities, site=site, ledger=ledger, sender=Sender(ledger), rails=[])


async def ask(gateway: Gateway, name: str, value: str) -> ActionOutcome:
    step = f"{name}_{value}"
    parameters: dict[str, Any] = {"list": name, "value": value}
    return await gateway.act(
        context(), ActionCall(step=step, path=(step,), action="list.contains", parameters=parameters), ()
    )


async def test_a_list_of_any_size_is_asked_through_the_gateway(keeper: ReferenceKeeper, engine: AsyncEngine) -> None:
    """In every spelling, and recorded like any read."""
    asked = gateway(keeper, engine)
    for value, held in (("10.19.249.7", True), ("::ffff:10.0.0.7", True), ("10.0.0.8", False)):
        outcome = await ask(asked, "many", value)
        assert outcome.status is StepStatus.SUCCEEDED
        assert outcome.output is not None
        assert outcome.output["contains"] is held
    assert "action.done" in {record.type for record in await about(engine, context().run)}


async def test_what_makes_no_sense_is_a_failed_step_and_not_a_no(keeper: ReferenceKeeper, engine: AsyncEngine) -> None:
    """A list that there is not, and a value that is none of its type."""
    asked = gateway(keeper, engine)
    for name, value, says in (("mny", "10.0.0.7", "did you mean `lists.many`?"), ("many", "10.0.0.300", "10.0.0.300")):
        outcome = await ask(asked, name, value)
        assert outcome.status is StepStatus.FAILED
        assert outcome.error is not None
        assert outcome.error.kind == "invalid"
        assert says in outcome.error.message


def test_an_address_is_in_a_list_of_networks(keeper: ReferenceKeeper) -> None:
    """When one of them holds it."""
    inside = ("192.0.2.9", "::ffff:192.0.2.9", "192.0.2.128/25", "2001:DB8::1")
    assert all(look_up(keeper, lists.Entry(list="ours", value=value)).contains for value in inside)
    assert not look_up(keeper, lists.Entry(list="ours", value="192.0.3.9")).contains


def test_a_list_that_never_could_be_read_may_be_asked_again_later(folder: Path, keeper: ReferenceKeeper) -> None:
    """It is not known what it holds, and somebody may mend it."""
    (folder / "lists" / "new.yaml").write_text("title: New\ntype: ip\nentries: [x]\n")
    with pytest.raises(TargetUnavailable, match=r"`lists\.new` cannot be read"):
        look_up(keeper, lists.Entry(list="new", value="10.0.0.1"))
    with pytest.raises(InvalidCall, match=r"there is no `lists\.old`"):
        look_up(keeper, lists.Entry(list="old", value="10.0.0.1"))
