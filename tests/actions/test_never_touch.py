"""What must never be touched is refused directly before sending; beside each refusal, the neighbour passes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.own_infrastructure import own_hosts
from orchestrator.audit.reading import about
from orchestrator.errors import FailureKind, RefusedByPolicy, TimedOut
from orchestrator.language.host import ActionCall, ActionOutcome, StepStatus, UndoCall
from orchestrator.language.reference_files import ReferenceKeeper
from tests.actions.bench_target import Target, acting, block, context
from tests.shared_data import shared

NETWORKS = "title: Ours\ntype: network\nentries: [192.0.2.0/24]\nnever_touch: true\n"


@dataclass
class Site:
    """A site's folder, and what acts there on the real ledger."""

    folder: Path
    catalog: Catalog
    ledger: PostgresLedger
    target: Target
    engine: AsyncEngine

    def __post_init__(self) -> None:
        (self.folder / "lists").mkdir()
        self.keeper = ReferenceKeeper(self.folder, every=0, wall=lambda: datetime.now(UTC) + timedelta(minutes=1))
        self.acting = acting(self.catalog, self.ledger, self.target, lists=self.keeper.never_touch, own=("10.9.9.9",))

    def write(self, name: str, text: str) -> Path:
        """A file of a list, in force at once: nobody is taken to be writing it any more."""
        path = self.folder / "lists" / name
        path.write_text(text)
        return path

    async def act(self, call: ActionCall, **changes: Any) -> ActionOutcome:
        return await self.acting.gateway.act(context(**changes), call, ())

    async def block(self, ip: str) -> str:
        """What becomes of a block: `sent`, or the words of the refusal."""
        outcome = await self.act(block(ip, path=("block", ip)))
        if outcome.error is None:
            return "sent"
        assert outcome.error.kind is FailureKind.REFUSED_BY_POLICY
        return outcome.error.message

    async def refusals(self) -> list[dict[str, Any]]:
        """What the audit keeps of refusals."""
        return [one.body for one in await about(self.engine, context().run) if one.type == "action.refused"]


@pytest.fixture
def site(tmp_path: Path, catalog: Catalog, ledger: PostgresLedger, target: Target, engine: AsyncEngine) -> Site:
    return Site(tmp_path, catalog, ledger, target, engine)


def disable(account: str) -> ActionCall:
    """A call to disable an account."""
    return ActionCall(
        step="off", path=("off", account), action="identity.disable_account", parameters={"account": account}, keep=True
    )


async def test_what_is_listed_is_not_touched_and_the_record_says_why(site: Site) -> None:
    """No byte leaves; the audit names the list and the entry. The address beside it is blocked."""
    site.write("ours.yaml", NETWORKS)
    words = "step block: 2002:c000:204::1 is on the never-touch list `lists.ours`, by its entry 192.0.2.0/24"

    assert await site.block("2002:c000:0204::1") == words
    assert await site.block("2002:c000:0304::1") == "sent"
    assert site.target.asked == ["block 2002:c000:304::1"]
    (kept,) = await site.refusals()
    assert (kept["rail"], kept["list"], kept["entry"]) == ("never_touch", "lists.ours", "192.0.2.0/24")
    assert (kept["named"], kept["trouble"], kept["reason"]) == ("2002:c000:204::1", None, "refused_by_policy")


async def test_own_infrastructure_is_not_touched_where_no_list_is(site: Site) -> None:
    """Loopback and a server of the settings; what lies beside it, and documentation addresses, are blocked."""
    assert "Tocsin's own infrastructure" in await site.block("127.0.0.1")
    assert "Tocsin's own infrastructure" in await site.block("::ffff:10.9.9.9")
    assert await site.block("10.9.9.8") == "sent"
    assert await site.block("203.0.113.7") == "sent"


async def test_reading_and_telling_are_not_touching(site: Site) -> None:
    """A look at a listed address, and a ticket about it."""
    site.write("ours.yaml", NETWORKS)
    look = ActionCall(step="look", path=("look",), action="intel.lookup_ip", parameters={"ip": "192.0.2.1"})
    title = {"title": "192.0.2.1", "body": ""}
    opened = ActionCall(step="open", path=("open",), action="ticket.open", parameters=title)

    assert [(await site.act(one)).status for one in (look, opened)] == [StepStatus.SUCCEEDED] * 2
    assert site.target.asked == ["look up 192.0.2.1", "open 192.0.2.1"]


async def test_an_account_is_refused_as_the_alert_spells_it(site: Site) -> None:
    """Listed by UPN; asked for by DOMAIN\\name. Another account of that domain is disabled."""
    site.write(
        "people.yaml", "title: Emergency\ntype: account\nentries: [breakglass@ours.example]\nnever_touch: true\n"
    )

    refused = await site.act(disable("OURS\\BreakGlass"))
    passed = await site.act(disable("OURS\\bob"))

    assert refused.error is not None
    assert "breakglass@ours.example" in refused.error.message
    assert passed.status is StepStatus.SUCCEEDED
    assert site.target.asked == ["disable ours\\bob"]


async def test_an_undo_gives_back_what_is_listed_since(site: Site) -> None:
    """What was blocked before it came on the list is given back; blocking it again is refused."""
    assert await site.block("192.0.2.1") == "sent"
    site.write("ours.yaml", NETWORKS)

    undone = await site.acting.undoing.undo(context(), UndoCall(step="undo", path=("undo",), steps=("block",)), ())

    assert undone.error is None
    assert site.target.asked == ["block 192.0.2.1", "unblock 192.0.2.1"]
    again = await site.act(block("192.0.2.1", path=("again",)))
    assert again.error is not None
    assert again.error.kind is FailureKind.REFUSED_BY_POLICY


BROKEN = {
    "empty": ("title: Ours\ntype: network\nentries: []\nnever_touch: true\n", "guards nothing"),
    "no YAML": ("title: Ours\ntype: network\nnever_touch: true\nentries: [\n", "ours.yaml:"),
    "an entry that is none": (NETWORKS.replace("/24", "/33"), "ours.yaml:3:"),
    "a misspelt key": (NETWORKS.replace("entries", "entires"), "`entries` is missing"),
    "a misspelt mark": (NETWORKS.replace("never_touch", "never-touch"), "no key `never-touch` here"),
    "no file of entries": (
        "title: Ours\ntype: network\nfile: none.txt\nnever_touch: true\n",
        "none.txt cannot be read",
    ),
    "an empty file of entries": ("title: Ours\ntype: network\nfile: empty.txt\nnever_touch: true\n", "no entries"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN)
async def test_a_list_that_cannot_be_used_refuses_all_of_its_type(site: Site, text: str, why: str) -> None:
    """It says which file, why and the fix; accounts are not its business. Mended, it lets pass what is not on it."""
    site.write("empty.txt", "")
    path = site.write("ours.yaml", text)

    words = await site.block("203.0.113.7")
    assert "while the never-touch list `lists.ours` cannot be used" in words
    assert str(path) in words
    assert why in words
    assert (await site.act(disable("bob"))).status is StepStatus.SUCCEEDED
    site.write("ours.yaml", NETWORKS)
    assert await site.block("203.0.113.7") == "sent"
    (kept,) = await site.refusals()
    assert (kept["list"], kept["entry"]) == ("lists.ours", None)
    assert kept["trouble"] in words


async def test_a_list_that_broke_or_went_away_refuses_all_of_its_type(site: Site) -> None:
    """Though what it held is still known, what it should hold by now is not."""
    path = site.write("ours.yaml", NETWORKS)
    assert await site.block("203.0.113.1") == "sent"
    site.write("ours.yaml", "title: Ours\ntype: network\nentries: oops\n")
    assert "cannot be used" in await site.block("203.0.113.2")
    path.unlink()
    assert "ours.yaml:1:1: cannot be read" in await site.block("203.0.113.3")
    path.write_text(NETWORKS)
    assert await site.block("203.0.113.4") == "sent"


async def test_a_list_that_nobody_ever_read_refuses_everything(site: Site) -> None:
    """It may be one of what must never be touched, and of any type."""
    path = site.folder / "lists" / "what.yaml"
    path.write_bytes(b"\xff\xfe")
    assert "is not text in UTF-8" in await site.block("203.0.113.7")
    assert (await site.act(disable("bob"))).error is not None
    path.write_text("title: Words\ntype: text\nentries: [a]\n")
    assert await site.block("203.0.113.8") == "sent"


async def test_an_ordinary_list_that_breaks_refuses_nothing(site: Site) -> None:
    """Only lists that say so guard anything."""
    site.write("vpn.yaml", "title: VPN\ntype: ip\nentries: oops\n")
    assert await site.block("203.0.113.7") == "sent"
    site.write("vpn.yaml", "title: VPN\ntype: ip\nentries: [203.0.113.8]\nnever_touch: false\n")
    assert await site.block("203.0.113.8") == "sent"


async def test_a_list_older_than_its_max_age_refuses_all_of_its_type(site: Site) -> None:
    """Fresh it refuses what it holds; stale, everything of its type, until it is brought up to date."""
    feed = site.write("feed.txt", "192.0.2.0/24\n")
    site.write("feed.yaml", "title: Feed\ntype: network\nfile: feed.txt\nmax_age: 2d\nnever_touch: true\n")
    assert await site.block("203.0.113.1") == "sent"
    old = datetime.now(UTC).timestamp() - 3 * 86_400
    os.utime(feed, (old, old))
    words = await site.block("203.0.113.2")
    assert f"{feed}: older than its max_age of 2d" in words
    assert "bring it up to date" in words
    os.utime(feed)
    assert await site.block("203.0.113.3") == "sent"
    assert "by its entry 192.0.2.0/24" in await site.block("192.0.2.1")


async def test_what_comes_on_a_list_while_a_request_waits_is_not_sent(site: Site) -> None:
    """The list is asked again directly before each send: here it changed between the first send and the second."""

    def lost() -> None:
        site.write("ours.yaml", NETWORKS)
        raise TimedOut("no answer")

    site.target.misbehave = lost
    words = await site.block("192.0.2.1")

    assert "lists.ours" in words
    assert site.target.asked == ["block 192.0.2.1"]
    assert site.target.effects == {}
    assert [one["list"] for one in await site.refusals()] == ["lists.ours"]


async def test_what_was_sent_before_it_was_listed_is_an_unknown_outcome(site: Site) -> None:
    """An account whose disabling got no answer and is not sent again: nobody knows, so nobody says that it failed."""

    def lost() -> None:
        site.write("people.yaml", "title: P\ntype: account\nentries: [alice]\nnever_touch: true\n")
        raise TimedOut("no answer")

    site.target.misbehave = lost
    outcome = await site.act(disable("alice"))

    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.UNKNOWN_OUTCOME
    assert "lists.people" in outcome.error.message
    assert site.target.asked == ["disable alice"]


async def test_nobody_is_asked_for_what_would_be_refused(site: Site) -> None:
    """The card is not rendered, and the refusal is on record; for the neighbour it is."""
    site.write("ours.yaml", NETWORKS)

    with pytest.raises(RefusedByPolicy, match=r"lists\.ours"):
        await site.acting.gateway.preview(context(), [block("203.0.113.7"), block("192.0.2.1")])
    (shown,) = await site.acting.gateway.preview(context(), [block("203.0.113.7")])

    assert shown.target == "ip:203.0.113.7"
    assert [one["entry"] for one in await site.refusals()] == ["192.0.2.0/24"]


async def test_shadow_refuses_the_same(site: Site) -> None:
    """What would be refused live is refused in shadow, so that a rehearsal shows it."""
    site.write("ours.yaml", NETWORKS)
    outcome = await site.act(block("192.0.2.1"), mode="shadow")
    assert outcome.error is not None
    assert outcome.error.kind is FailureKind.REFUSED_BY_POLICY


async def test_a_warninglist_of_misp_is_a_never_touch_list(site: Site) -> None:
    """Networks of a large provider, as MISP has them; the first address behind one of them passes."""
    site.write("akamai.json", shared("warninglists/akamai.json").read_text())
    site.write("cdn.yaml", "title: A CDN\ntype: network\nfile: akamai.json\nnever_touch: true\n")
    assert "by its entry 103.11.223.0/24" in await site.block("103.11.223.255")
    assert await site.block("103.11.224.0") == "sent"


async def test_a_list_of_sixty_five_thousand_networks_is_asked_in_milliseconds(site: Site) -> None:
    """No run could take it along; the gateway asks the list itself."""
    site.write("many.txt", "".join(f"10.{number >> 8}.{number & 255}.0/25\n" for number in range(65_536)))
    site.write("many.yaml", "title: Many\ntype: network\nfile: many.txt\nnever_touch: true\n")
    assert "by its entry 10.255.255.0/25" in await site.block("10.255.255.127")
    assert await site.block("10.255.255.128") == "sent"


def test_the_hosts_of_the_settings_are_found_wherever_they_stand() -> None:
    """URLs, lists of servers, several hosts in one; never a password, and no text that merely looks like a name."""
    integrations = {
        "rt": {"uses": "request_tracker", "url": "https://rt.ours.example/rt", "token": "secret.example"},
        "ldap": {"url": "ldaps://[2001:db8::5]:636", "base": "dc=ours,dc=example"},
        "own": {"servers": ["10.0.0.1:9000", {"host": "edge-fw"}]},
    }
    servers = ("k1.ours.example:9092,10.0.0.2:9092", "localhost:7233", None, "postgresql://u:p%40x@db1:5432,db2/tocsin")
    assert own_hosts(servers, integrations) == (
        "k1.ours.example", "10.0.0.2", "localhost", "db1", "db2", "rt.ours.example", "2001:db8::5", "10.0.0.1",
        "edge-fw",
    )  # fmt: skip
