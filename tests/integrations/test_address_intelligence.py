"""Addresses looked up in files on this machine, public data of real networks among them."""

from __future__ import annotations

from pathlib import Path

import pytest

from integrations.address_intelligence import address_intelligence
from orchestrator.contract import InvalidCall
from orchestrator.settings import user_cache
from tests.integrations.support import Caller, configured


def database(name: str) -> str:
    path = user_cache() / "addresses" / f"{name}.mmdb"
    if not path.exists():
        pytest.skip(f"no address data on this machine: {name} (.ci/packages.sh fetches it)")
    return str(path)


def looking_up(**settings: object) -> Caller:
    return Caller(configured(address_intelligence, **settings))


@pytest.mark.parametrize("ip", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"])
async def test_the_country_of_a_known_network(ip: str) -> None:
    """In both families of addresses, in every spelling."""
    report = await looking_up(country=database("iptoasn-country"))("intel.lookup_ip", ip=ip)
    assert (report.country, report.tags) == ("US", ())


async def test_an_address_that_is_not_routed_is_tagged() -> None:
    """Private and documentation addresses have no owner, and are no mistake."""
    report = await looking_up()("intel.lookup_ip", ip="10.1.2.3")
    assert (report.country, report.owner, report.score, report.tags) == (None, None, 0, ("not_routed",))


async def test_a_list_of_bad_networks_gives_the_score_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """One address or network a line, with comments."""
    bad = tmp_path / "bad.txt"
    bad.write_text("# our own list\n203.0.113.0/24\n2001:db8::/32  # documentation\n")
    call = looking_up(bad=str(bad), bad_score=85)
    assert (await call("intel.lookup_ip", ip="203.0.113.7")).score == 85
    assert (await call("intel.lookup_ip", ip="2001:db8::1")).score == 85
    assert (await call("intel.lookup_ip", ip="198.51.100.1")).score == 0
    bad.write_text("198.51.100.1\n")
    assert (await call("intel.lookup_ip", ip="198.51.100.1")).score == 85


async def test_a_file_that_is_missing_or_wrong_is_a_clear_failure(tmp_path: Path) -> None:
    """With its name, and its line where there is one: never silently no knowledge."""
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("203.0.113.7\nnot a network\n")
    for settings, says in (
        ({"country": str(tmp_path / "none.mmdb")}, "cannot be read"),
        ({"country": str(wrong)}, "not a database"),
        ({"bad": str(wrong)}, r"wrong\.txt:2"),
    ):
        with pytest.raises(InvalidCall, match=says):
            await looking_up(**settings)("intel.lookup_ip", ip="203.0.113.7")
