"""What must never be touched, in every spelling; beside each refusal stands the neighbour that passes."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.contract.capabilities import cloud, dns, endpoint, firewall, identity, mail, web
from orchestrator.contract.capability import Parameters
from orchestrator.language.never_touch import (
    Named,
    NeverTouchList,
    Touch,
    names_in_parameters,
    own_lists,
    touched,
)

OURS = "192.0.2.0/24"
V4 = st.integers(1, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


def of(kind: str, *entries: str) -> NeverTouchList:
    return NeverTouchList("lists.ours", kind, entries)


def hits(parameters: Parameters, *lists: NeverTouchList) -> bool:
    """Whether a request with these parameters is refused."""
    return touched(names_in_parameters(dict(parameters)), lists) is not None


def address(text: str, *entries: str) -> bool:
    return of("network", *entries).find(Named("address", text)) is not None


def account(text: str, *entries: str) -> bool:
    return hits(identity.Account(account=text), of("account", *entries))  # type: ignore[arg-type] # parsed


def host(text: str, *entries: str) -> bool:
    return hits(endpoint.Machine(host=text), of("host", *entries))  # type: ignore[arg-type] # parsed


def domain(text: str, *entries: str) -> bool:
    return hits(dns.DomainName(domain=text), of("domain", *entries))  # type: ignore[arg-type] # parsed


CARRIED = {
    "plain": ("192.0.2.4", "192.0.3.4"),
    "mapped": ("::ffff:192.0.2.4", "::ffff:192.0.3.4"),
    "mapped in hexadecimal": ("::FFFF:C000:0204", "::ffff:c000:304"),
    "compatible": ("::192.0.2.4", "::192.0.3.4"),
    "translated": ("::ffff:0:192.0.2.4", "::ffff:0:192.0.3.4"),
    "6to4": ("2002:c000:0204::1", "2002:c000:0304::1"),
    "NAT64": ("64:ff9b::192.0.2.4", "64:ff9b::192.0.3.4"),
    "NAT64 of a site": ("64:ff9b:1::192.0.2.4", "64:ff9b:1::192.0.3.4"),
    "NAT64 of a site, /48": ("64:ff9b:1:c000:2:400::", "64:ff9b:1:c000:3:400::"),
    "Teredo": ("2001:0:4136:e378:8000:63bf:3fff:fdfb", "2001:0:4136:e378:8000:63bf:3fff:fcfb"),
    "ISATAP": ("2001:db8::5efe:192.0.2.4", "2001:db8::5efe:192.0.3.4"),
}


@pytest.mark.parametrize(("ours", "neighbour"), CARRIED.values(), ids=CARRIED)
def test_an_address_is_found_in_every_spelling(ours: str, neighbour: str) -> None:
    """A network of IPv4 is listed; a request may name it inside IPv6, and the other way round."""
    assert address(ours, OURS)
    assert not address(neighbour, OURS)
    assert address("192.0.2.4", ours)
    assert not address("192.0.2.4", neighbour)


@settings(deadline=None)
@given(V4, st.sampled_from(["::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "2001:db8:1::5efe:{}"]))
def test_whatever_carries_an_address_is_that_address(one: ipaddress.IPv4Address, form: str) -> None:
    """Listed plain and asked for inside another one, or listed so and asked for plain; the next address passes."""
    spelled = str(ipaddress.IPv6Address(form.format(one)))
    other = str(ipaddress.IPv4Address(int(one) ^ 1))
    assert address(spelled, str(one))
    assert address(str(one), spelled)
    assert not address(spelled, other)
    assert not address(other, spelled)


@settings(deadline=None)
@given(V4, st.integers(0, 2**80 - 1))
def test_all_of_a_6to4_site_is_its_address(one: ipaddress.IPv4Address, below: int) -> None:
    """2002:a.b.c.d::/48 is behind a.b.c.d."""
    spelled = str(ipaddress.IPv6Address((0x2002 << 112) | (int(one) << 80) | below))
    assert address(spelled, str(one))
    assert not address(spelled, str(ipaddress.IPv4Address(int(one) ^ 1)))


@settings(deadline=None)
@given(V4, st.integers(0, 32), st.integers(0, 32))
def test_networks_that_cover_and_those_that_are_covered_touch(
    one: ipaddress.IPv4Address, length: int, other: int
) -> None:
    """Two prefixes of one address always share it; a network beside never does."""
    listed = ipaddress.ip_network((int(one), length), strict=False)
    wanted = ipaddress.ip_network((int(one), other), strict=False)
    assert address(str(wanted), str(listed))
    if length:
        beside = ipaddress.ip_network((int(listed.network_address) ^ (1 << (32 - length)), length))
        assert address(str(wanted), str(beside)) is wanted.overlaps(beside)


@settings(deadline=None)
@given(st.lists(V6, min_size=1, max_size=30), V6, st.integers(33, 128))
def test_of_many_networks_the_right_one_is_found(
    listed: list[ipaddress.IPv6Address], one: ipaddress.IPv6Address, length: int
) -> None:
    """As comparing with each of them would find; what IPv6 carries aside."""
    networks = [ipaddress.ip_network((int(each) | (1 << 127), length), strict=False) for each in listed]
    wanted = ipaddress.IPv6Address(int(one) | (1 << 127))
    carries = (int(wanted) >> 32) & 0xFDFFFFFF == 0x5EFE
    assert carries or address(str(wanted), *map(str, networks)) is any(wanted in each for each in networks)
    assert all(address(str(each.network_address), *map(str, networks)) for each in networks)


def test_where_two_layouts_share_a_range_the_address_tells_which_it_has() -> None:
    """So that a NAT64 address of a site's own is not also taken for one of no address at all."""
    for free in ("64:ff9b:1::203.0.113.7", "64:ff9b:1:cb00:71:700::"):
        assert not hits(firewall.Ip(ip=free), *own_lists(["192.0.2.4"])), free  # type: ignore[arg-type] # parsed
    assert hits(firewall.Ip(ip="64:ff9b:1:c000:2:400::"), *own_lists(["192.0.2.4"]))  # type: ignore[arg-type] # parsed
    assert address("64:ff9b:1::/48", OURS)


def test_a_network_that_holds_all_carriers_touches_every_address() -> None:
    """`::/0` would block what is listed as IPv4; listed itself, it is about IPv6 alone."""
    assert address("::/0", OURS)
    assert address("2002::/16", OURS)
    assert not address("2600::/12", OURS)
    assert not address("192.0.2.4", "2000::/3")


def test_own_infrastructure_is_always_on_it() -> None:
    """What nobody has as a target, and the hosts of the settings; documentation addresses are free, as in the lab."""
    own = own_lists(["rt.ours.example", "198.51.100.7", "2001:db8::5", "broker"])
    for mine in ("127.0.0.1", "127.9.9.9", "169.254.1.1", "0.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1"):
        assert hits(firewall.Ip(ip=mine), *own), mine  # type: ignore[arg-type] # parsed
    for mine in ("fe80::1", "ff02::1", "::ffff:127.0.0.1", "2002:7f00:1::", "198.51.100.7", "2001:DB8::5"):
        assert hits(firewall.Ip(ip=mine), *own), mine  # type: ignore[arg-type] # parsed
    for free in ("198.51.100.8", "2001:db8::6", "203.0.113.7", "128.0.0.1", "223.255.255.255", "fec0::1"):
        assert not hits(firewall.Ip(ip=free), *own), free  # type: ignore[arg-type] # parsed
    for mine in ("localhost", "RT.ours.example.", "rt", "broker", "broker.ours.example", "127.0.0.1"):
        assert hits(endpoint.Machine(host=mine), *own), mine  # type: ignore[arg-type] # parsed
    for free in ("web-1", "rt2.ours.example", "1001"):
        assert not hits(endpoint.Machine(host=free), *own), free  # type: ignore[arg-type] # parsed
    for mine in ("rt.ours.example", "ours.example", "example", "localhost"):
        assert hits(dns.DomainName(domain=mine), *own), mine  # type: ignore[arg-type] # parsed
    assert not hits(dns.DomainName(domain="www.ours.example"), *own)  # type: ignore[arg-type] # parsed


def test_a_domain_is_listed_with_all_below_it_and_with_what_lies_above() -> None:
    """Blocking a domain above would block it too; another name that ends alike passes."""
    for spelling in ("ours.example", "OURS.Example.", "a.b.ours.example", "ours。example", "example"):
        assert domain(spelling, "ours.example"), spelling
    for spelling in ("yours.example", "ours.example.org", "theirs.example"):
        assert not domain(spelling, "ours.example"), spelling


def test_international_names_are_one_name_in_both_spellings() -> None:
    """Punycode, capitals and combined letters."""
    for spelling in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "bu\u0308cher.example"):
        assert domain(spelling, "bücher.example"), spelling
        assert domain("bücher.example", spelling), spelling
    assert not domain("bucher.example", "bücher.example")


@settings(deadline=None)
@given(st.lists(st.from_regex(r"[a-z]([a-z0-9]{0,5}[a-z0-9])?", fullmatch=True), min_size=1, max_size=5), st.data())
def test_a_domain_above_or_below_is_touched_whatever_its_case(labels: list[str], data: st.DataObject) -> None:
    """Of one name, every two ends touch; a first label more on the right side of neither does."""
    one = ".".join(labels[data.draw(st.integers(0, len(labels) - 1)) :])
    other = ".".join(labels[data.draw(st.integers(0, len(labels) - 1)) :])
    assert domain(one.upper() + ".", other)
    assert not domain("x" + one, "y" + one)


ALICE = (
    "alice", "ALICE", " Alice ", "alice@ours.example", "Alice@OURS.EXAMPLE", "OURS\\alice", ".\\alice",
    "uid=alice,ou=people,dc=ours,dc=example", "CN=Alice, OU=People, DC=ours, DC=example",
    "UID=al\\69ce,dc=ours,dc=example", "ａｌｉｃｅ", "OURS\\alice@ours.example",
)  # fmt: skip
BOB = (
    "bob", "alice2", "bob@ours.example", "OURS\\bob", "uid=bob,ou=people,dc=ours,dc=example",
    "ou=alice,dc=ours,dc=example", "S-1-5-21-1-2-3-500",
)  # fmt: skip


@pytest.mark.parametrize("listed", ALICE)
def test_an_account_is_found_in_every_spelling(listed: str) -> None:
    """Name, UPN, DOMAIN\\name and distinguished name, in any case; another account passes in each."""
    for spelling in ALICE:
        assert account(spelling, listed), spelling
    for spelling in BOB:
        assert not account(spelling, listed), spelling


def test_where_both_say_where_an_account_is_known_it_counts() -> None:
    """Two domains of one kind are two accounts; of different kinds nobody can tell, so it is refused."""
    assert not account("alice@theirs.example", "alice@ours.example")
    assert not account("THEIRS\\alice", "OURS\\alice")
    assert not account("uid=alice,dc=theirs,dc=example", "alice@ours.example")
    assert account("CORP\\alice", "alice@ours.example")
    assert account("alice@bücher.example", "alice@xn--bcher-kva.example")


def test_a_sid_is_the_same_in_any_case_and_no_part_of_another() -> None:
    """It says nothing of the name, so it has to be listed itself."""
    assert account("s-1-5-21-1-2-3-500", "S-1-5-21-1-2-3-500")
    assert not account("S-1-5-21-1-2-3-5001", "S-1-5-21-1-2-3-500")


def test_a_place_in_a_directory_stands_for_all_below_it() -> None:
    """Spaces, capitals, escapes and the order in one part aside."""
    admins = "ou=Admins, dc=ours, dc=example"
    assert account("CN=Bob+UID=b1,OU=admins,DC=ours,DC=example", admins)
    assert account("ou=admins,dc=ours,dc=example", admins)
    assert not account("CN=Bob,OU=people,DC=ours,DC=example", admins)
    assert account("uid=b1+cn=Bob,dc=x", "cn=bob+uid=b1,dc=x")
    assert account("cn=Smith\\, Bob,dc=x", 'cn="Smith, Bob",dc=x')
    assert not account("cn=Smith\\, Rob,dc=x", 'cn="Smith, Bob",dc=x')


@settings(deadline=None)
@given(st.from_regex(r"[a-z][a-z0-9._-]{0,12}[a-z0-9]", fullmatch=True), st.booleans())
def test_spellings_of_any_name_are_one_account(name: str, shout: bool) -> None:
    """What is made of one name is found by it, and nothing that is made of another."""
    forms = [name, f"{name}@ours.example", f"OURS\\{name}", f"uid={name},dc=ours,dc=example"]
    for listed in forms:
        for one in forms:
            assert account(one.upper() if shout else one, listed)
            assert not account(one.replace(name, "x" + name), listed)


def test_a_machine_is_found_by_its_full_name_and_by_its_first_label() -> None:
    """Where one of two names is no more than the first label; two full names have to be the same."""
    for spelling in ("dc1", "DC1.ours.example.", "OURS\\dc1$", "dc1.ours.example"):
        assert host(spelling, "dc1.ours.example"), spelling
        assert host(spelling, "DC1"), spelling
    for spelling in ("dc2", "dc1.theirs.example", "dc11", "dc2.ours.example"):
        assert not host(spelling, "dc1.ours.example"), spelling
    assert host("::FFFF:10.0.0.1", "10.0.0.1") is host("10.0.0.1", "10.0.0.1") is True
    assert not host("10.0.0.2", "10.0.0.1")


def test_a_page_is_on_its_host_as_browsers_see_it() -> None:
    """Names in front of an @, numbers for addresses, backslashes and percent signs do not hide it."""
    lists = of("domain", "ours.example"), of("network", OURS)
    for url in (
        "https://ours.example/login", "https://evil.test@OURS.example:8443/", "https://www.ours.example./",
        "https://192.0.2.4/x", "https://[::ffff:192.0.2.4]/", "https://3221225988/", "http://0xc0.0.0x2.4/",
        "http://0300.0.2.4/", "http://192.0.516/", "https://%6furs.example/", "https://ours.example\\@evil.test/",
    ):  # fmt: skip
        assert hits(web.Page(url=url), *lists), url
    for url in (
        "https://evil.test/ours.example", "https://ours.example.evil.test/", "https://ours.example@evil.test/",
        "https://evil.test/?to=https://ours.example/", "https://192.0.3.4/", "https://3221226244/",
    ):  # fmt: skip
        assert not hits(web.Page(url=url), *lists), url


def test_a_sender_is_an_account_and_not_their_domain() -> None:
    """Refusing the mail of one sender touches no domain; the mailbox of somebody who is listed is theirs."""
    lists = of("domain", "ours.example"), of("account", "alice@ours.example", "root")
    assert hits(mail.Sender(sender="Alice@Ours.Example"), *lists)  # type: ignore[arg-type] # parsed
    assert not hits(mail.Sender(sender="bob@ours.example"), *lists)  # type: ignore[arg-type] # parsed
    assert not hits(mail.Sender(sender="root@evil.test"), *lists)  # type: ignore[arg-type] # parsed


def test_a_principal_of_a_cloud_is_an_account() -> None:
    """By its full name, or by the last part of it."""
    arn = "arn:aws:iam::123456789012:user/ops/deploy"
    assert hits(cloud.Principal(principal=arn), of("account", "DEPLOY"))
    assert hits(cloud.Principal(principal=arn), of("account", arn))
    assert not hits(cloud.Principal(principal=arn), of("account", arn.replace("123456789012", "210987654321")))
    assert not hits(cloud.Principal(principal=arn), of("account", "ops"))


def test_a_list_that_cannot_be_gone_by_stands_for_all_of_its_type() -> None:
    """Of another type, things pass; of a list whose type nobody knows, nothing does. An entry is the better reason."""
    broken = NeverTouchList("lists.feed", "network", (OURS,), trouble="feed.yaml:3: bad; mend the file")
    ip, who = Named("address", "203.0.113.7"), Named("account", "bob")
    assert touched([ip], [broken]) == Touch(ip, "lists.feed", None, broken.trouble)
    assert touched([who], [broken]) is None
    assert touched([who], [NeverTouchList("lists.what", None, trouble="gone")]) is not None
    assert touched([Named("address", "192.0.2.1")], [broken, of("ip", "192.0.2.1")]) == Touch(
        Named("address", "192.0.2.1"), "lists.feed", OURS
    )
