"""What a policy says, what is wrong with one, and which of its lines decides."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from orchestrator.actions.catalog import scan
from orchestrator.errors import FindingLevel
from orchestrator.language.yaml_reader import read_yaml
from orchestrator.policy.modes import Asked
from orchestrator.policy.operators import VERBS, Operator
from orchestrator.policy.policy import DEFAULT, Policy, read_policy
from orchestrator.policy.schema import policy_schema
from orchestrator.policy.section import Known
from tests.conftest import ROOT

CATALOG = scan()
KNOWN = Known(
    {name: one.effect for name, one in CATALOG.capabilities.items()}, {"contain", "draft"}, {"edge", "dmz"}, {"draft"},
    {"vips": "network", "hashes": "hash"}, {"lead"}, {"patches"},
)  # fmt: skip
FILE = "playbooks/site/policy.yaml"
SHIPPED = (ROOT / FILE).read_text()


LISTS = {"vips": "account", "administrators": "account", "servers": "host"}


def policy(text: str) -> Policy:
    """The policy of a text that is right."""
    read = read_policy(f"title: A test\n{text}", FILE, KNOWN)
    assert read.policy is not None, read.findings
    return read.policy


def test_what_ships_says_what_holds_without_it() -> None:
    """So the demo acts, and so does a site that has written none: everything live, everybody may."""
    shipped = read_policy(SHIPPED, FILE, KNOWN)
    assert shipped.findings == ()
    assert shipped.policy is not None
    unnamed = {"exclude": {"title"}}
    assert shipped.policy.model.model_dump(**unnamed) == DEFAULT.model.model_dump(**unnamed)
    assert DEFAULT.digest is None


def test_what_the_shipped_policy_shows_as_comments_is_right() -> None:
    """Whoever takes the `#` away has a policy that checks, and that says something else."""
    shown = [line[1:] for line in SHIPPED.splitlines() if re.match(r"#(  |\w)", line)]
    groups = shown.index("groups:")
    modes, new = shown[:3], shown[groups - 1]
    text = "\n".join(["title: Shown", "modes:", *modes, new, *shown[groups:]])
    assert "approvals:" in shown
    known = Known(KNOWN.effects, {"contain-account"}, {"edge"}, lists=LISTS, groups={"soc-lead"})
    assert [str(one) for one in read_policy(text, FILE, known).findings] == []
    assert "alice@soc-1" in text


def test_the_schema_for_editors_is_what_the_models_say() -> None:
    """Written anew by `tocsin schema --of policy`; what ships fits it, and a misspelt word does not."""
    written = (ROOT / "playbooks" / "site" / "policy.schema.json").read_text()
    assert written == policy_schema(CATALOG.capabilities), (
        "run: tocsin schema --of policy --output playbooks/site/policy.schema.json"
    )
    schema = Draft202012Validator(json.loads(written))
    fits = "title: x\nnew_playbooks: {mode: shadow, for: 14d}\nmay: {kill: {groups: [a]}, lift: nobody}\n"
    budgets = "budgets: {run: 3, all: unlimited, playbook: {targets: {1h: 3}, by: {count: 2}}, groups: {a: 5%}}"
    for right in (SHIPPED, fits, f"title: x\n{budgets}", fits.replace("{mode: shadow, for: 14d}", "shadow")):
        assert list(schema.iter_errors(read_yaml(right, FILE).data)) == []
    for wrong in (fits.replace("kill", "kil"), fits.replace("shadow", "shadwo"), "title: x\nmay: {run: all}"):
        assert list(schema.iter_errors(read_yaml(wrong, FILE).data)) != []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modez: {}", ":2:1: a policy has no `modez`; did you mean `modes`?"),
        ("modes: {sight: live}", ":2:9: `modes` has no `sight`; did you mean `site`?"),
        (
            "modes: {site: shadw}",
            "`site` is one of live, canary, shadow, and this is 'shadw'; did you mean `shadow`?",
        ),
        ("modes: {playbooks: {contian: shadow}}", "no playbook is named `contian` here; did you mean `contain`?"),
        ("modes: {integrations: {egde: shadow}}", "no integration is named `egde` here; did you mean `edge`?"),
        (
            "modes: {capabilities: {firewall.blok_ip: shadow}}",
            "no capability is named `firewall.blok_ip` here; did you mean `firewall.block_ip`?",
        ),
        ("new_playbooks: {mode: shadow, fore: 14d}", "`new_playbooks` has no `fore`; did you mean `for`?"),
        ("new_playbooks: {mode: shadow, for: 14}", "14 has no unit; write it as 14s, 14m, 14h or 14d"),
        ("may: {kill: all}", "`kill`: 'all' is none of everyone, nobody, or a mapping with groups, people and trust"),
        ("may: {kill: {}}", "`kill`: name `groups` or `people` or a `trust`, or write `everyone` or `nobody`"),
        ("groups: {lead: [a]}\nmay: {kill: {groups: [laed]}}", "no group is named `laed` here; did you mean `lead`?"),
        ("approvals: [{by: {count: 2}}]", "say what it is about: capabilities, integrations, playbooks, lists"),
        ("approvals: [{lists: [vibs]}]", "no list is named `vibs` here; did you mean `vips`?"),
        ("approvals: [{lists: [vips], by: {group: laed}}]", "no group is named `laed` here; did you mean `lead`?"),
        ("approvals: [{capabilities: [firewall.blok_ip]}]", "did you mean `firewall.block_ip`?"),
        ("approvals: [{lists: [vips], within: 30}]", "`within` is text, and this is 30"),
        ("maintenance: [{integrations: [edge]}]", "say when: `from` and `to`, or `weekly`, or `calendar`"),
        ('maintenance: [{integrations: [edge], from: "2026-12-01T22:00Z"}]', "`from` and `to` go together"),
        (
            'maintenance: [{integrations: [edge], from: "2026-12-01T22:00Z", to: "2026-12-01T23:00+01:00"}]',
            "`to` is not after `from`",
        ),
        ("maintenance: [{integrations: [egde], calendar: patches}]", "no integration is named `egde` here"),
        ("maintenance: [{integrations: [edge], calendar: patchs}]", "no calendar is named `patchs` here"),
        ("maintenance: [{integrations: [edge], calendar: patches, at_most: 4}]", "4 has no unit"),
        ("rates: {edge: fast}", "'fast' is not a rate; write it as 10 per second, minute or hour"),
        ("rates: {edge: 0 per second}", "'0 per second' is not a rate"),
        ("rates: {egde: 1 per second}", "no integration is named `egde` here; did you mean `edge`?"),
        ("may: {kill: everyone, kill: nobody}", "`kill` stands here twice; keep one of them"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place_and_the_likely_fix(text: str, says: str) -> None:
    """Nothing of such a file comes into force; beside it stands one that is right."""
    read = read_policy(f"title: A test\n{text}", FILE, KNOWN)
    assert read.policy is None
    assert any(says in str(one) for one in read.errors), [str(one) for one in read.findings]
    assert policy("modes: {site: shadow}").model.modes.site == "shadow"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modes: {integrations: {edge: live}}", "live is what it is anyhow"),
        ("modes: {site: shadow, playbooks: {contain: live}}", "never reached: the whole site is in shadow"),
        ("modes: {site: shadow, playbooks: {contain: shadow}}", "the whole site is in shadow"),
        ("modes: {playbooks: {draft: live}}", "never reached: the file of draft says `mode: shadow`"),
        ("modes: {site: canary, integrations: {edge: canary}}", "the whole site is in canary"),
        ("modes: {capabilities: {ticket.open: canary}}", "there is no target to look at first"),
        ("modes: {capabilities: {intel.lookup_ip: shadow}}", "only reads, and reads are in no mode"),
        ("new_playbooks: {mode: live, for: 14d}", "`for` says how long a new playbook is in shadow"),
        ("groups: {lead: [alice]}", "no line asks for the group `lead`"),
        ("groups: {lead: []}\nmay: {kill: {groups: [lead]}}", "nobody is in the group `lead`"),
        ("approvals: [{lists: [hashes]}]", "nothing that is acted upon is a hash"),
        ("approvals: [{capabilities: [intel.lookup_ip]}]", "only reads, and nobody is asked about that"),
        (
            "approvals: [{playbooks: [contain]}, {playbooks: [contain], lists: [vips]}]",
            "never reached: an entry above fits all that this one does",
        ),
        ("may: {kill: {trust: principal}}", "nobody passes: the terminal knows people by an unverified name"),
    ],
)
def test_a_line_that_changes_nothing_is_a_warning(text: str, says: str) -> None:
    """The policy comes into force all the same."""
    read = read_policy(f"title: A test\n{text}", FILE, KNOWN)
    assert read.policy is not None
    assert [(one.level, says in one.message) for one in read.findings] == [(FindingLevel.WARNING, True)]


STRICT = policy("""groups:
  lead: [alice, bob]
may:
  lift: {groups: [lead], people: [carol]}
  run: nobody
  cancel: {people: [alice], trust: principal}
""")


@pytest.mark.parametrize(
    ("who", "verb", "says"),
    [
        (
            Operator("mallory"), "lift",
            f"{FILE}:5: may.lift is for the group lead, carol; mallory is not among them (who may: alice, bob, carol)",
        ),
        (Operator("alice"), "run", f"{FILE}:6: may.run is for nobody; alice is not among them (nobody may)"),
        (
            Operator("alice"), "cancel",
            f"{FILE}:7: may.cancel is for alice, with trust principal; of alice only the name is known (unverified)",
        ),
        (Operator("bob"), "lift", None),
        (Operator("carol"), "lift", None),
        (Operator("alice", "principal"), "cancel", None),
        (Operator("alice", "signed"), "cancel", None),
        (Operator("mallory"), "kill", None),
    ],
)  # fmt: skip
def test_a_refusal_names_the_line_and_who_may(who: Operator, verb: str, says: str | None) -> None:
    """Whoever is named passes, and so does everybody where nothing is said."""
    refused = STRICT.refusal(verb, who)  # type: ignore[arg-type]
    assert (str(refused) if refused else None) == says


def test_nothing_is_forbidden_where_nothing_is_written() -> None:
    """As it was before there were policies."""
    assert [DEFAULT.refusal(verb, Operator("anybody")) for verb in VERBS] == [None] * len(VERBS)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("modes: {site: shadow}", f"{FILE}:2: modes.site: shadow"),
        ("modes:\n  playbooks: {contain: shadow}", f"{FILE}:3: modes.playbooks.contain: shadow"),
        ("modes:\n  integrations: {edge: shadow}", f"{FILE}:3: modes.integrations.edge: shadow"),
        (
            "modes:\n  capabilities:\n    firewall.block_ip: shadow",
            f"{FILE}:4: modes.capabilities.firewall.block_ip: shadow",
        ),
        ("new_playbooks: shadow", f"{FILE}:2: new_playbooks: shadow, and modes.playbooks does not name contain"),
        ("new_playbooks: shadow\nmodes: {playbooks: {contain: live}}", ""),
        ("modes: {playbooks: {draft: shadow}, integrations: {dmz: shadow}}", ""),
        ("modes: {capabilities: {firewall.unblock_ip: shadow}}", ""),
    ],
)
def test_the_line_that_makes_it_shadow_is_named(text: str, why: str) -> None:
    """And what speaks of others leaves it live."""
    decided = policy(text).mode(Asked("contain", "edge", "firewall.block_ip"))
    assert (decided.mode, decided.why) == ("shadow" if why else "live", why)


@pytest.mark.parametrize(("age", "mode"), [(None, "shadow"), (0.0, "shadow"), (86_399.0, "shadow"), (86_400.0, "live")])
def test_a_new_playbook_is_new_for_so_long_after_it_came_into_force(age: float | None, mode: str) -> None:
    """One that never was in force stays new."""
    made = policy("new_playbooks: {mode: shadow, for: 1d}")
    assert made.mode(Asked("contain", age=age)).mode == mode
    assert made.goes_by_age("contain")
    assert not policy("new_playbooks: {mode: shadow, for: 1d}\nmodes: {playbooks: {contain: live}}").goes_by_age(
        "contain"
    )


APPROVALS = policy("""approvals:
- {capabilities: [identity.disable_account], lists: [vips], by: {group: lead, count: 2}}
- {capabilities: [identity.disable_account], integrations: [edge]}
""")


@pytest.mark.parametrize(
    ("integration", "capability", "listed", "key"),
    [
        ("edge", "identity.disable_account", True, "2 of lead"),
        ("dmz", "identity.disable_account", True, "2 of lead"),
        ("edge", "identity.disable_account", False, "1 of anybody"),
        ("dmz", "identity.disable_account", False, None),
        ("edge", "firewall.block_ip", True, None),
    ],
)
def test_the_first_demand_that_fits_counts(integration: str, capability: str, listed: bool, key: str | None) -> None:
    """All that an entry names has to fit; what no entry is about nobody is asked about."""
    found = APPROVALS.demand(Asked("contain", integration, capability), lambda _: listed)
    assert (found[0].key if found else None) == key


MODE = st.sampled_from(["live", "canary", "shadow"])


@given(site=MODE, edge=MODE, contain=MODE, block=MODE, new=MODE, named=st.booleans())
def test_the_most_restrictive_line_counts_whatever_the_others_say(
    site: str, edge: str, contain: str, block: str, new: str, named: bool
) -> None:
    """Of all that speak of it: one that says shadow is enough, and live is what is left."""
    playbooks = {"contain": contain} if named else {}
    modes = {"site": site, "integrations": {"edge": edge}, "capabilities": {"firewall.block_ip": block}}
    lines = f"modes: {json.dumps(modes | {'playbooks': playbooks})}"
    made = policy(f"{lines}\nnew_playbooks: {new}")
    speaks = [site, edge, block, contain if named else new]
    decided = made.mode(Asked("contain", "edge", "firewall.block_ip"))
    assert decided.mode == ("shadow" if "shadow" in speaks else "live")
    assert len(decided.lines) == speaks.count("shadow")
    assert len(decided.canary) == speaks.count("canary")
    elsewhere = made.mode(Asked(None, "dmz", "firewall.unblock_ip"))
    assert (elsewhere.mode == "shadow", bool(elsewhere.canary)) == (site == "shadow", site == "canary")


@pytest.mark.parametrize(
    ("budgets", "message", "hint"),
    [
        ("run: many", "`run` is a whole number, and this is 'many'", ""),
        ("playbook: {1x: 3}", "'1x' is not a duration", ""),
        ("groups: {vips: 2}", "2 is no share; write it as 1% or 0.5%", ""),
        ("groups: {vips: 200%}", "'200%' is no share", ""),
        ("groups: {vip: 2%}", "no list is named `vip` here", "did you mean `vips`?"),
        ("groups: {vips: 2%}", "a list of type network has no members to take a share of", "name a list of ip"),
        ("playbooks: {contian: {1h: 3}}", "no playbook is named `contian` here", "did you mean `contain`?"),
        ("capabilities: {firewall.blok_ip: {1h: 3}}", "no capability is named `firewall.blok_ip` here", ""),
        ("by: {group: led}", "no group is named `led` here", "did you mean `lead`?"),
        ("all: {targets: {1h: 1}, by: {group: led}}", "no group is named `led` here", ""),
        ("within: soon", "'soon' is not a duration", ""),
    ],
)
def test_a_budget_that_cannot_be_meant_is_a_mistake_with_its_place(budgets: str, message: str, hint: str) -> None:
    """The last good policy stays in force."""
    (finding,) = read_policy(f"title: A test\nbudgets:\n  {budgets}", FILE, KNOWN).findings
    assert finding.level is FindingLevel.ERROR
    assert message in str(finding)
    assert hint in str(finding)
    assert finding.place.line == 3


@pytest.mark.parametrize(
    ("budgets", "message"),
    [
        ("capabilities: {ticket.open: {1h: 3}}", "acts upon no target, and takes from no budget"),
        ("playbooks: {contain: {1h: 60}}", "never reached: no more than 50 targets are let through in all"),
        ("playbooks: {contain: {1h: 50}}", ""),
        ("playbooks: {contain: {2h: 60}}", ""),
    ],
)
def test_a_budget_that_changes_nothing_is_a_warning(budgets: str, message: str) -> None:
    """What is just as large as the whole can be reached, and in another window too."""
    found = read_policy(f"title: A test\nbudgets:\n  {budgets}", FILE, KNOWN).findings
    assert [message in str(one) for one in found] == ([True] if message else [])
    assert all(one.level is FindingLevel.WARNING for one in found)
