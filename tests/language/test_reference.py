"""Lists and calendars of a site: one spelling for each value, every mistake at once, and what travels with a run."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract.values import AccountName, IpAddress
from orchestrator.errors import FindingLevel
from orchestrator.language.calendars import Calendar
from orchestrator.language.expressions import check_types, compile_condition
from orchestrator.language.reference import (
    MOST_IN_A_RUN,
    ListType,
    ReferenceData,
    ReferenceList,
    ReferenceRefused,
    names_in,
    restore,
)
from orchestrator.language.reference_reader import MOST_ALIKE, Parsed, parse_reference
from tests.shared_data import shared

OFFICE = """
title: The office
tz: Europe/Berlin
hours: {mon: ["08:00-12:00", "13:00 - 17:30"], sat: [00:00-24:00]}
holidays: [2026-12-25]
"""


def nothing(name: str) -> str:
    raise ValueError("cannot be read: No such file or directory")


def read(text: str, kind: Any = "lists", **beside: str) -> Parsed:
    """A file of a site, and the texts of the files beside it."""
    return parse_reference(
        kind, "x", text, f"{kind}/x.yaml", lambda name: beside[name.removesuffix(".txt")] if beside else nothing(name)
    )


def made(kind: str, *entries: str) -> ReferenceList:
    parsed = read(json.dumps({"title": "t", "type": kind, "entries": entries}))
    assert isinstance(parsed.value, ReferenceList), parsed.findings
    return parsed.value


def told(parsed: Parsed) -> list[str]:
    """The findings as people read them."""
    return [str(finding) for finding in parsed.findings]


# one spelling


def cased(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.upper(), text.lower(), text.title(), f"  {text}\t"])


def of_address(number: int) -> st.SearchStrategy[str]:
    """An IPv4 address as products write it."""
    address = ipaddress.IPv4Address(number)
    mapped = ipaddress.IPv6Address(0xFFFF_0000_0000 + number)
    forms = [str(address), f"::ffff:{address}", f"::FFFF:{address}", mapped.compressed, mapped.exploded, f" {address} "]
    return st.sampled_from(forms)


DOMAINS = {
    "bücher.example": ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.Example."],
    "straße.de": ["straße.de", "Straße.DE", "xn--strae-oqa.de"],
    "例え.テスト": ["例え.テスト", "例え。テスト", "xn--r8jz45g.xn--zckzah"],
    "a_b.example.com": ["a_b.example.com", "A_B.EXAMPLE.COM", "a_b.example.com."],
}
SPELLINGS: st.SearchStrategy[tuple[str, str, str]] = st.one_of(
    st.integers(0, 2**32 - 1).flatmap(lambda n: st.tuples(st.just("ip"), of_address(n), of_address(n))),
    st.ip_addresses(v=6).flatmap(
        lambda one: st.tuples(
            st.just("ip"), cased(one.exploded), st.sampled_from([one.compressed, one.exploded.upper()])
        )
    ),
    st.sampled_from(list(DOMAINS.values())).flatmap(
        lambda forms: st.tuples(st.just("domain"), st.sampled_from(forms), st.sampled_from(forms))
    ),
    st.text("abcxyz0189._-äöüßéñ\\", min_size=1).flatmap(
        lambda name: st.tuples(st.just("account"), cased(name), cased(name))
    ),
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,8}){0,2}", fullmatch=True).flatmap(
        lambda name: st.tuples(st.just("host"), cased(name), cased(name + "."))
    ),
    st.binary(min_size=32, max_size=32).flatmap(
        lambda digest: st.tuples(st.just("hash"), cased(digest.hex()), cased(digest.hex()))
    ),
    st.from_regex(r"[a-z.+]{1,20}@(bücher|example)\.de", fullmatch=True).flatmap(
        lambda mail: st.tuples(st.just("mail"), cased(mail), st.just(mail.replace("bücher", "xn--bcher-kva")))
    ),
)


@given(SPELLINGS)
def test_a_list_has_a_value_in_every_spelling(case: tuple[str, str, str]) -> None:
    """Mapped addresses, international names, capitals and blanks: the same value is the same entry."""
    kind, written, asked = case
    listed = made(kind, written.strip("\t"))
    assert listed.contains(asked)
    again = read(json.dumps({"title": "t", "type": kind, "entries": [written.strip("\t"), asked.strip("\t")]}))
    assert isinstance(again.value, ReferenceList)
    assert again.value.entries == listed.entries
    assert [finding.code for finding in again.findings] == ["duplicate"]


@given(SPELLINGS)
def test_what_a_run_restores_compares_as_the_list_does(case: tuple[str, str, str]) -> None:
    """In an expression plain text finds the entry too, after a trip through JSON."""
    kind, written, asked = case
    data = ReferenceData({"x": made(kind, written.strip("\t"))})
    names = restore(json.loads(json.dumps(data.snapshot(["lists.x"]))))
    assert compile_condition("asked in lists.x").test({**names, "asked": asked})
    assert names["lists"]["x"] == data.lists["x"].entries
    assert {type(entry) for entry in names["lists"]["x"]} == {ListType(kind).kind}


NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda one: ipaddress.IPv4Network(one, strict=False)),
    st.tuples(st.integers(0, 2**16 - 1), st.integers(16, 32)).map(lambda one: ipaddress.IPv4Network(one, strict=False)),
    st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 95)).map(lambda one: ipaddress.IPv6Network(one, strict=False)),
)
ADDRESSES = st.one_of(st.ip_addresses(), st.integers(0, 2**16 - 1).map(ipaddress.IPv4Address))


@given(st.lists(NETWORKS, max_size=8), ADDRESSES)
def test_an_address_is_in_a_list_of_networks_when_a_network_holds_it(networks: list[Any], address: Any) -> None:
    """The quick look-up by prefix says what looking at each network says."""
    meant = ipaddress.ip_address(IpAddress.parse(str(address)))
    listed = made("network", *{str(one) for one in networks})
    slow = any(meant in network for network in networks)
    assert listed.contains(str(address)) is slow
    if isinstance(meant, ipaddress.IPv4Address):
        assert listed.contains(f"::ffff:{meant}") is slow


def test_a_list_of_networks_holds_smaller_networks_and_not_larger_ones() -> None:
    """A network is in it when every address of it is; one of mapped addresses is that of IPv4 addresses."""
    listed = made("network", "10.1.0.0/16", "::ffff:192.0.2.0/120")
    assert listed.entries == ("10.1.0.0/16", "192.0.2.0/24")
    assert [listed.contains(one) for one in ("10.1.2.0/24", "10.0.0.0/8", "::ffff:10.1.2.3", "192.0.2.9")] == [
        True, False, True, True,
    ]  # fmt: skip
    assert not made("network", "10.0.0.0/16").contains("10.0.0.0/8")
    assert made("network", "0.0.0.0/0").contains("255.255.255.255")
    assert not made("network", "0.0.0.0/0").contains("2001:db8::1")


def test_text_compares_letter_by_letter() -> None:
    """A list of `text` is for words that have no type."""
    listed = made("text", "Backup Agent", " x")
    assert listed.contains("Backup Agent")
    assert not listed.contains("backup agent")
    assert not listed.contains("x")


def test_a_value_of_another_type_is_an_error_and_not_a_no() -> None:
    """A misspelt address would otherwise be one that is not listed."""
    with pytest.raises(ValueError, match="does not appear to be"):
        made("ip", "10.0.0.1").contains("10.0.0.256")


# reading


def test_entries_stand_in_the_file_and_in_one_beside_it() -> None:
    """In the order of the files; `#` at the beginning of a line or after a blank begins a comment."""
    beside = "# from the scanner's vendor\r\n192.0.2.1\r\n\r\n  192.0.2.2   # the second\r\n"
    parsed = read(
        "title: Scanners\ntype: ip\nentries: [10.0.0.1]\nfile: s.txt\nmax_age: 1d\nwritable: true\n", s=beside
    )
    assert told(parsed) == []
    assert isinstance(parsed.value, ReferenceList)
    assert parsed.title == "Scanners"
    assert parsed.value.entries == ("10.0.0.1", "192.0.2.1", "192.0.2.2")
    assert parsed.value.max_age is not None
    assert parsed.value.max_age.days == 1
    assert parsed.value.writable
    words = read("title: t\ntype: text\nfile: s.txt\n", s="C#\nhttp://x/#a\n#all of it\n").value
    assert isinstance(words, ReferenceList)
    assert words.entries == ("C#", "http://x/#a")


def test_every_mistake_of_a_list_is_told_with_its_place() -> None:
    """Keys, values and entries, in both files, in one reading."""
    text = 'titel: x\ntype: ip\nentries: [10.0.0.0/8, 10, "", [a], "a\\tb"]\nfile: s.txt\nmax_age: 5\n'
    assert told(read(text, s="ok.example\n")) == [
        "lists/s.txt:1:1: 'ok.example' does not appear to be an IPv4 or IPv6 address",
        "lists/x.yaml:1:1: `title` is missing",
        "lists/x.yaml:1:1: no key `titel` here; did you mean `title`?",
        (
            "lists/x.yaml:3:11: '10.0.0.0/8' does not appear to be an IPv4 or IPv6 address; "
            "a list of networks has `type: network`"
        ),
        "lists/x.yaml:3:23: 10 is no text; put it in quotes",
        "lists/x.yaml:3:27: an entry has 1 to 1,024 characters",
        "lists/x.yaml:3:31: an entry is one text",
        "lists/x.yaml:3:36: an entry holds no tabs, line breaks or other control characters",
        "lists/x.yaml:5:10: `max_age`: 5 has no unit; write it as 5s, 5m, 5h or 5d",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("title: t\ntype: ipp\nentries: []\n", "did you mean `ip`?"),
        ("title: t\ntype: ip\n", "`entries` is missing; or name a `file` of them"),
        ("title: t\ntype: ip\nentries: 10.0.0.1\n", "valid list; put it in [ ]"),
        ("title: t\ntype: ip\nfile: ../s.txt\n", "is not the name of a file beside the list; write it as feed.txt"),
        ("title: t\ntype: ip\nfile: s.txt\n", "s.txt cannot be read: No such file or directory"),
        ("title: t\ntype: domain\nentries: ['*.example.com']\n", "every domain below a name has to be listed"),
        ("title: t\ntype: domain\nentries: [https://example.com/x]\n", "write the name alone"),
        ("title: t\ntype: mail\nentries: ['A <a@example.com>']\n", "a mail address is name@domain alone"),
        ("title: t\ntype: network\nentries: [fe80::%1/64]\n", "has a zone id"),
        ("title: t\ntype: ip\nwritable: maybe\nentries: []\n", "`writable`: Input should be a valid boolean"),
        ("title: t\ntype: ip\ntype: ip\n", "stands here twice"),
        ("- 10.0.0.1\n", "a list is a mapping with title, type and entries"),
        (
            "title: t\ntype: account\nentries:\n" + "- a\n" * 300_000,
            "put the entries into a `file` beside it, one a line",
        ),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_the_likely_fix(text: str, says: str) -> None:
    """It has no value at all: half of a list is a list that lacks what nobody misses."""
    parsed = read(text)
    assert parsed.value is None
    assert says in "\n".join(told(parsed))


def test_a_file_of_entries_without_one_is_an_error() -> None:
    """A download that failed; only `entries: []` is an empty list on purpose."""
    refused = read("title: t\ntype: ip\nfile: s.txt\n", s="# nothing today\n")
    assert refused.value is None
    assert "a download that failed looks like this" in told(refused)[0]
    assert read("title: t\ntype: ip\nentries: []\n").value == ReferenceList(ListType.IP, ())
    assert read("title: t\ntype: ip\nentries: []\nfile: s.txt\n", s="").value == ReferenceList(ListType.IP, ())


def test_the_same_value_in_other_words_is_a_warning() -> None:
    """So are bits behind the prefix of a network: somebody may have meant the one address."""
    parsed = read("title: t\ntype: network\nentries: [10.0.0.0/8, '::ffff:10.0.0.0/104', 192.0.2.7/24]\n")
    assert parsed.value is not None
    assert {finding.level for finding in parsed.findings} == {FindingLevel.WARNING}
    assert told(parsed) == [
        "lists/x.yaml:3:23: `::ffff:10.0.0.0/104` is `10.0.0.0/8`, which is in the list already: lists/x.yaml:3:11",
        (
            "lists/x.yaml:3:46: `192.0.2.7/24` is the whole of 192.0.2.0/24; "
            "write it so, or leave out what follows the slash to mean the one address"
        ),
    ]


def test_a_hundred_mistakes_alike_are_not_told_one_by_one() -> None:
    """The first of them, and how many more: somebody gave the list the wrong type."""
    found = told(read("title: t\ntype: ip\nfile: s.txt\n", s="x.example\n" * 100))
    assert len(found) == MOST_ALIKE + 1
    assert found[-1] == f"lists/s.txt:{MOST_ALIKE + 1}:1: {100 - MOST_ALIKE} more like these, from here on"


@pytest.mark.parametrize("name", ["a-b", "A", "1a", "", "a.b", "x" * 64])
def test_a_name_can_be_written_in_an_expression(name: str) -> None:
    """`lists.a-b` would be a subtraction."""
    parsed = parse_reference("lists", name, "title: t\ntype: ip\nentries: []\n", "f.yaml", nothing)
    assert [finding.code for finding in parsed.findings] == ["name"]


def test_a_calendar_is_read_with_short_days_and_spans() -> None:
    """The model that expressions ask has the days in full."""
    parsed = read(OFFICE, "calendars")
    assert told(parsed) == []
    assert parsed.title == "The office"
    assert parsed.value == Calendar.model_validate(
        {
            "tz": "Europe/Berlin",
            "hours": {"monday": [["08:00", "12:00"], ["13:00", "17:30"]], "saturday": [["00:00", "24:00"]]},
            "holidays": ["2026-12-25"],
        }
    )


def test_every_mistake_of_a_calendar_is_told_with_its_place() -> None:
    """A misspelt day would be a day that is closed."""
    text = (
        "title: t\ntz: Europe/Berln\n"
        "hours: {monday: [09:00-17:00], tue: 09:00-17:00, wed: [9:00-17:00, 22:00-06:00, x]}\n"
        "holidays: [25.12.2026, 20261225, 2026-13-01]\n"
    )
    assert told(read(text, "calendars")) == [
        (
            "calendars/x.yaml:2:5: `tz`: 'Europe/Berln' is not a time zone; write it as Europe/Berlin or UTC; "
            "did you mean `Europe/Berlin`?"
        ),
        "calendars/x.yaml:3:9: no key `monday` here; did you mean `mon`?",
        "calendars/x.yaml:3:37: `tue`: Input should be a valid list; put it in [ ]",
        (
            "calendars/x.yaml:3:56: `hours`: '9:00' is not a time of day; "
            "write it as 08:30, and the end of the day as 24:00"
        ),
        (
            "calendars/x.yaml:3:68: `hours`: 22:00 to 06:00 goes over midnight; "
            "write the part until 24:00 and the one from 00:00"
        ),
        "calendars/x.yaml:3:81: `hours`: 'x' is not a span of time; write it as 09:00-17:00",
        "calendars/x.yaml:4:12: `holidays`: '25.12.2026' is not a day; write it as 2026-12-25",
        "calendars/x.yaml:4:24: `holidays`: 20261225 is not a day; write it as 2026-12-25",
        "calendars/x.yaml:4:34: `holidays`: month must be in 1..12",
    ]


def test_a_calendar_that_is_never_open_is_a_warning() -> None:
    """It is possible, and hardly meant."""
    parsed = read("title: t\ntz: UTC\nhours: {mon: []}\n", "calendars")
    assert parsed.value is not None
    assert [finding.code for finding in parsed.findings] == ["never_open"]


# what playbooks see


def site(**lists: ReferenceList) -> ReferenceData:
    office = read(OFFICE, "calendars").value
    assert isinstance(office, Calendar)
    return ReferenceData(lists, {"office": office}, {"lists.feed": "lists/feed.yaml:1:1: is not text in UTF-8"})


def test_a_run_takes_what_it_names_and_gets_it_back_typed() -> None:
    """The snapshot is plain JSON; expressions read addresses, accounts and the calendar."""
    data = site(vpn=made("ip", "10.0.0.1"), staff=made("account", "ACME\\Bob"), other=made("text", "x"))
    plain = json.loads(json.dumps(data.snapshot(["lists.vpn", "lists.staff", "calendars.office"])))
    assert plain["lists"] == {
        "vpn": {"type": "ip", "entries": ["10.0.0.1"]},
        "staff": {"type": "account", "entries": ["acme\\bob"]},
    }
    names = restore(plain)
    assert names["lists"]["vpn"] == (IpAddress("10.0.0.1"),)
    assert isinstance(names["lists"]["staff"][0], AccountName)
    assert names["calendars"] == {"office": data.calendars["office"]}
    assert data.snapshot([]) == {"lists": {}, "calendars": {}}


def test_what_cannot_be_had_is_never_an_empty_list() -> None:
    """A run is refused with all names that it cannot have, and the likely fix of each."""
    data = site(vpn=made("ip", "10.0.0.1"), big=ReferenceList(ListType.TEXT, tuple(map(str, range(MOST_IN_A_RUN + 1)))))
    with pytest.raises(ReferenceRefused) as refused:
        data.snapshot(["lists.vpm", "lists.big", "lists.feed", "lists.*", "calendars.x", "lists.vpn"])
    assert str(refused.value).splitlines() == [
        "there is no `calendars.x`; known: office",
        "there is no `lists.*`; write the name itself, as in `lists.name`",
        (
            "`lists.big` has 1,001 entries, and a run takes at most 1,000 of a list with it; "
            "ask with the action `list.contains`"
        ),
        "`lists.feed` cannot be read; lists/feed.yaml:1:1: is not text in UTF-8",
        "there is no `lists.vpm`; did you mean `lists.vpn`?",
    ]
    assert data.contains("big", "1000")
    assert not data.contains("big", "1001")
    with pytest.raises(ReferenceRefused, match="cannot be read"):
        data.contains("feed", "x")


def test_a_thousand_entries_fit_and_many_long_ones_do_not() -> None:
    """Two bounds: of the entries of a list, and of the bytes of all together."""
    many = site(all=ReferenceList(ListType.TEXT, tuple(map(str, range(MOST_IN_A_RUN)))))
    assert len(many.snapshot(["lists.all"])["lists"]["all"]["entries"]) == MOST_IN_A_RUN
    long = tuple(f"{number:01000}" for number in range(900))
    large = site(a=ReferenceList(ListType.TEXT, long), b=ReferenceList(ListType.TEXT, long[:300]))
    with pytest.raises(ReferenceRefused, match=r"ask for `lists\.a` with the action `list\.contains`"):
        large.snapshot(["lists.a", "lists.b"])


def test_the_checker_knows_what_the_entries_are() -> None:
    """A misspelt name of a list is a mistake, with the nearest right one."""
    types = site(vpn=made("ip", "10.0.0.1"), words=made("text", "x")).types()
    assert types["lists"] == {"vpn": tuple[IpAddress, ...], "words": tuple[str, ...]}
    assert types["calendars"] == {"office": Calendar}
    assert check_types(compile_condition('"10.0.0.1" in lists.vpn'), types) == []
    [problem] = check_types(compile_condition("lists.vpm | length > 0"), types)
    assert "did you mean lists.vpn?" in problem.hint


def test_the_names_that_a_run_takes_are_those_of_its_expressions() -> None:
    """A computed name is none."""
    condition = compile_condition('alert.source.ip in lists.vpn and calendars["office"] and lists[alert.title]')
    assert names_in(condition.paths) == {"lists.vpn", "calendars.office", "lists.*"}


def test_the_test_of_a_playbook_gives_other_entries() -> None:
    """They are read as the file's would be; a list that there is not, or a value of another type, is a mistake."""
    data = site(vpn=made("ip", "10.0.0.1"), net=made("network", "10.0.0.0/8"))
    changed = data.with_lists({"vpn": ["::ffff:10.0.0.2", "10.0.0.2"], "net": []})
    assert changed.lists["vpn"].entries == ("10.0.0.2",)
    assert changed.lists["net"].entries == ()
    assert data.lists["vpn"].entries == ("10.0.0.1",)
    for wrong, says in (
        ({"vpm": []}, "did you mean `lists.vpn`?"),
        ({"vpn": [1]}, "no text"),
        ({"vpn": ["x"]}, "IPv4"),
    ):
        with pytest.raises(ReferenceRefused, match=says):
            data.with_lists(wrong)


def test_the_digest_changes_with_what_playbooks_can_see() -> None:
    """Another entry is another digest; another spelling of it is not."""
    one, same, other = (site(vpn=made("ip", text)) for text in ("10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"))
    assert one.digest == same.digest
    assert one.digest.startswith("sha256:")
    assert len({one.digest, other.digest, site().digest}) == 3


@given(st.text(max_size=40))
def test_one_spelling_is_its_own(text: str) -> None:
    """What was normalised once stays as it is, whatever somebody wrote."""
    for kind in ListType:
        try:
            value = kind.entry(text)
        except ValueError:
            continue
        assert kind.entry(str(value)) == value


def test_a_never_touch_list_says_so_and_what_it_is_of() -> None:
    """Also where it is wrong otherwise, as far as its lines can be read; an ordinary list says nothing of the kind."""
    good = read("title: t\ntype: ip\nentries: [10.0.0.1]\nnever_touch: true\n")
    assert good.value == ReferenceList(ListType.IP, ("10.0.0.1",), never_touch=True)
    assert (good.never_touch, good.type) == (True, "ip")
    for wrong in (
        "title: t\ntype: ip\nnever_touch: true\nentries: [",
        "type: ip\nnever_touch: yes\n",
        "type: ip\nnever-touch:\n",
    ):
        assert (read(wrong).value, read(wrong).never_touch, read(wrong).type) == (None, True, "ip"), wrong
    for ordinary in (
        "title: t\ntype: ip\nentries: [",
        "type: ip\nnever_touch: false\n",
        "title: t\ntype: ip\nentries: []\n",
    ):
        assert read(ordinary).never_touch is False, ordinary


UNFIT = {
    "of a type that nothing acts upon": (
        "type: text\nentries: [a]\n",
        "2:7: nothing that is acted upon is a text, so a list of them guards nothing; known: ip, network, domain,",
    ),
    "written by playbooks": (
        "type: ip\nentries: [10.0.0.1]\nwritable: true\n",
        "5:14: what must never be touched is not for playbooks to write; remove `writable`",
    ),
    "empty": (
        "type: ip\nentries: []\n",
        "4:14: a never-touch list without entries guards nothing; list what it is for, or remove the file",
    ),
}


@pytest.mark.parametrize(("text", "words"), UNFIT.values(), ids=UNFIT)
def test_a_never_touch_list_that_could_guard_nothing_is_a_mistake(text: str, words: str) -> None:
    """Told at its line; the same list without the mark is good."""
    (one,) = told(read(f"title: t\n{text}never_touch: true\n"))
    assert one.startswith(f"lists/x.yaml:{words}")
    assert told(read(f"title: t\n{text}")) == []


def warninglist(kind: str, matching: object, *entries: object) -> Parsed:
    """A list whose entries are a warninglist of MISP."""
    text = json.dumps({"name": "n", "list": entries, "type": matching}, indent=1)
    return read(f"title: t\ntype: {kind}\nfile: w.json\nnever_touch: true\n", **{"w.json": text})


def test_a_warninglist_of_misp_is_read_as_entries() -> None:
    """Networks, hosts and plain texts; the point before a name means all below it, as the name alone does here."""
    networks = warninglist("network", "cidr", "10.0.0.0/8", "2001:DB8::1")
    assert networks.value == ReferenceList(ListType.NETWORK, ("10.0.0.0/8", "2001:db8::1/128"), never_touch=True)
    names = warninglist("domain", "string", ".Google.example", "a.example")
    assert names.value == ReferenceList(ListType.DOMAIN, ("google.example", "a.example"), never_touch=True)
    assert told(warninglist("ip", "cidr", "10.0.0.1", "10.0.0.2", "10.0.0.300"))[0].startswith("lists/w.json:6:1: ")


@pytest.mark.parametrize(
    ("kind", "matching", "entries", "words"),
    [
        ("domain", "substring", ["a"], "matches by `substring`, and lists here by whole values"),
        ("domain", "regex", ["a"], "matches by `regex`"),
        ("domain", "cidr", ["10.0.0.0/8"], "holds `cidr`; the list that names it has `type: network`"),
        ("network", "hostname", ["a.example"], "the list that names it has `type: host`"),
        ("ip", "cidr", [1], "is no warninglist of MISP"),
        ("ip", "cidr", [], "holds no entries"),
    ],
)
def test_a_warninglist_that_compares_otherwise_is_refused(
    kind: str, matching: str, entries: list[object], words: str
) -> None:
    """Read by whole values, it would guard less than it says."""
    assert words in told(warninglist(kind, matching, *entries))[0]


def test_what_is_no_json_is_said_to_be_none() -> None:
    """An error page that was saved for instance."""
    page = read("title: t\ntype: ip\nfile: w.json\n", **{"w.json": "<html>"})
    assert told(page) == ["lists/x.yaml:3:7: w.json is not JSON; a download that failed looks like this"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("akamai", "network"), ("multicast", "network"), ("public-dns-v6", "network"), ("rfc5735", "network"),
        ("smtp-receiving-ips", "ip"), ("google", "domain"), ("url-shortener", "domain"),
        ("second-level-tlds", "domain"), ("microsoft-win10-connection-endpoints", "domain"),
    ],
)  # fmt: skip
def test_warninglists_as_misp_has_them_are_read_whole(name: str, kind: str) -> None:
    """Every entry of those that are about addresses or names alone."""
    text = shared(f"warninglists/{name}.json").read_text()
    parsed = read(f"title: t\ntype: {kind}\nfile: w.json\nnever_touch: true\n", **{"w.json": text})
    assert parsed.findings == ()
    assert isinstance(parsed.value, ReferenceList)
    assert len(parsed.value.entries) == len({one.lower().lstrip(".") for one in json.loads(text)["list"]})
