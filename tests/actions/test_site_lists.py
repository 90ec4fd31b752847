"""`list.contains` and `list.add`: the site's own lists, asked and written through the gateway like any product."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.acting import Acting, build_acting
from orchestrator.actions.catalog import Catalog, scan
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.list_entries import ListEntries
from orchestrator.actions.never_touch import NeverTouch
from orchestrator.actions.reaper import Reaper
from orchestrator.actions.sending import Sender
from orchestrator.actions.site import build_site
from orchestrator.actions.site_lists import SiteNow, look_up, site_lists
from orchestrator.audit.reading import about
from orchestrator.contract import InvalidCall, TargetUnavailable
from orchestrator.contract.capabilities import lists
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus
from orchestrator.language.reference_files import ReferenceKeeper
from tests.actions.bench_target import context

_numbers = itertools.count(1)


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
    (tmp_path / "lists" / "watched.yaml").write_text("title: Watched\ntype: ip\nwritable: true\nentries: [192.0.2.1]\n")
    return tmp_path


@pytest.fixture
def keeper(folder: Path) -> ReferenceKeeper:
    return ReferenceKeeper(folder, every=0)


@pytest.fixture
def now(keeper: ReferenceKeeper, engine: AsyncEngine) -> SiteNow:
    return SiteNow(keeper, ListEntries(engine))


@pytest.fixture
def acting(now: SiteNow, engine: AsyncEngine) -> Acting:
    """What acts, and takes back, where the only product are the site's own lists."""
    catalog, ledger = Catalog(scan().capabilities, {"site_lists": site_lists(now)}), PostgresLedger(engine)
    site, guard = build_site(catalog, {"site_lists": {}}, {}), NeverTouch(catalog.capabilities, tuple, ())
    return build_acting(catalog.capabilities, site, ledger, Sender(ledger), never_touch=guard)


async def do(acting: Acting, action: str, name: str, value: str, **more: Any) -> ActionOutcome:
    """One step, of another path each time."""
    step = f"step_{next(_numbers)}"
    parameters: dict[str, Any] = {"list": name, "value": value, **more.pop("beside", {})}
    call = ActionCall(step=step, path=(step,), action=action, parameters=parameters, **more)
    return await acting.gateway.act(context(), call, ())


async def holds(acting: Acting, name: str, value: str) -> bool:
    """Whether the list holds the value now."""
    outcome = await do(acting, "list.contains", name, value)
    assert outcome.output is not None, outcome
    return bool(outcome.output["contains"])


async def refused(acting: Acting, action: str, name: str, value: str) -> str:
    """Why it was not done, and of which kind that is."""
    outcome = await do(acting, action, name, value)
    assert outcome.error is not None
    return f"{outcome.error.kind}: {outcome.error.message}"


async def test_a_list_of_any_size_is_asked_through_the_gateway(acting: Acting, engine: AsyncEngine) -> None:
    """In every spelling, and recorded like any read."""
    for value, held in (("10.19.249.7", True), ("::ffff:10.0.0.7", True), ("10.0.0.8", False)):
        outcome = await do(acting, "list.contains", "many", value)
        assert outcome.status is StepStatus.SUCCEEDED
        assert outcome.output is not None
        assert outcome.output["contains"] is held
    assert "action.done" in {record.type for record in await about(engine, context().run)}


async def test_what_makes_no_sense_is_a_failed_step_and_not_a_no(acting: Acting) -> None:
    """A list that there is not, and a value that is none of its type."""
    for name, value, says in (("mny", "10.0.0.7", "did you mean `lists.many`?"), ("many", "10.0.0.300", "10.0.0.300")):
        outcome = await do(acting, "list.contains", name, value)
        assert outcome.status is StepStatus.FAILED
        assert outcome.error is not None
        assert outcome.error.kind == "invalid"
        assert says in outcome.error.message


def test_an_address_is_in_a_list_of_networks(keeper: ReferenceKeeper) -> None:
    """When one of them holds it."""
    inside = ("192.0.2.9", "::ffff:192.0.2.9", "192.0.2.128/25", "2001:DB8::1")
    assert all(look_up(keeper.current(), lists.Entry(list="ours", value=value)).contains for value in inside)
    assert not look_up(keeper.current(), lists.Entry(list="ours", value="192.0.3.9")).contains


def test_a_list_that_never_could_be_read_may_be_asked_again_later(folder: Path, keeper: ReferenceKeeper) -> None:
    """It is not known what it holds, and somebody may mend it."""
    (folder / "lists" / "new.yaml").write_text("title: New\ntype: ip\nentries: [x]\n")
    with pytest.raises(TargetUnavailable, match=r"`lists\.new` cannot be read"):
        look_up(keeper.current(), lists.Entry(list="new", value="10.0.0.1"))
    with pytest.raises(InvalidCall, match=r"there is no `lists\.old`"):
        look_up(keeper.current(), lists.Entry(list="old", value="10.0.0.1"))


async def test_what_a_run_puts_on_a_list_every_later_run_reads(acting: Acting, now: SiteNow) -> None:
    """In every spelling, in `lists.watched` as in `list.contains`, until it is removed; again changes nothing."""
    assert not await holds(acting, "watched", "192.0.2.7")
    for value in ("192.0.2.7", "::ffff:192.0.2.7"):
        put = await do(acting, "list.add", "watched", value, keep=True, beside={"note": "seen"})
        assert put.status is StepStatus.SUCCEEDED
    assert await holds(acting, "watched", "::ffff:192.0.2.7")
    assert (await now.snapshot(["lists.watched"]))["lists"]["watched"]["entries"] == ["192.0.2.1", "192.0.2.7"]
    assert (await do(acting, "list.remove", "watched", "192.0.2.7", keep=True)).status is StepStatus.SUCCEEDED
    assert not await holds(acting, "watched", "192.0.2.7")
    assert (await now.snapshot(["lists.watched"]))["lists"]["watched"]["entries"] == ["192.0.2.1"]


async def test_an_entry_ends_with_its_time_and_what_stands_in_the_file_stays(
    acting: Acting, folder: Path, engine: AsyncEngine
) -> None:
    """Also an entry that a person wrote into the file meanwhile."""
    for value in ("192.0.2.1", "192.0.2.7", "192.0.2.8"):
        await do(acting, "list.add", "watched", value, expires=3600.0)
    file = folder / "lists" / "watched.yaml"
    file.write_text(file.read_text().replace("[192.0.2.1]", "[192.0.2.1, 192.0.2.8]"))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE tocsin.action SET until = clock_timestamp()"))
    reaper = Reaper(acting.ledger, acting.undoing)
    await reaper.once()
    await reaper.settled()
    async with engine.connect() as connection:
        left = (await connection.execute(text("SELECT value FROM tocsin.list_entry"))).scalars().all()
        stuck = (
            await connection.execute(
                text("SELECT key FROM tocsin.action WHERE capability = 'list.add' AND state = 'done'")
            )
        ).all()

    assert [await holds(acting, "watched", f"192.0.2.{last}") for last in (1, 7, 8)] == [True, False, True]
    assert (left, stuck) == ([], [])


async def test_only_lists_whose_file_says_so_are_written(acting: Acting, folder: Path) -> None:
    """Never those of what must never be touched, which no file can call writable; what stands in a file stays there."""
    (folder / "lists" / "crown.yaml").write_text("title: C\ntype: ip\nnever_touch: true\nentries: [192.0.2.66]\n")
    not_ours = "invalid: `lists.{}` is not for runs to write; its file has to say `writable: true`"
    assert await refused(acting, "list.add", "many", "192.0.2.7") == not_ours.format("many")
    assert await refused(acting, "list.add", "crown", "192.0.2.7") == not_ours.format("crown")
    assert await refused(acting, "list.remove", "crown", "192.0.2.66") == not_ours.format("crown")
    assert "did you mean `lists.watched`?" in await refused(acting, "list.add", "wathced", "192.0.2.7")
    assert "10.0.0.300" in await refused(acting, "list.add", "watched", "10.0.0.300")
    told = await refused(acting, "list.remove", "watched", "192.0.2.1")
    assert told == "rejected: 192.0.2.1 stands in the file of `lists.watched`: remove it there"


async def test_a_list_that_runs_take_along_does_not_outgrow_them(now: SiteNow, acting: Acting, folder: Path) -> None:
    """Runs that read it would fail; the one entry too many is refused, what is there already is not."""
    others = [f"10.9.{number // 250}.{number % 250}" for number in range(998)]
    (folder / "lists" / "watched.yaml").write_text(
        "title: W\ntype: ip\nwritable: true\nentries:\n" + "".join(f"  - {one}\n" for one in others)
    )
    outcomes = await asyncio.gather(*(do(acting, "list.add", "watched", f"192.0.2.{n}", keep=True) for n in range(5)))
    assert sorted(one.status.value for one in outcomes) == ["failed"] * 3 + ["succeeded"] * 2
    assert {one.error.message for one in outcomes if one.error} == {
        "`lists.watched` is full: a run takes at most 1,000 of a list with it"
    }
    assert len((await now.snapshot(["lists.watched"]))["lists"]["watched"]["entries"]) == 1_000


async def test_entries_of_a_type_that_a_list_has_no_more_are_left_out(
    now: SiteNow, acting: Acting, folder: Path
) -> None:
    """Somebody has changed the file since they were put there."""
    await do(acting, "list.add", "watched", "192.0.2.7", keep=True)
    (folder / "lists" / "watched.yaml").write_text("title: W\ntype: mail\nwritable: true\nentries: [a@b.example]\n")
    later = SiteNow(ReferenceKeeper(folder), now.entries)
    assert (await later.snapshot(["lists.watched"]))["lists"]["watched"]["entries"] == ["a@b.example"]
