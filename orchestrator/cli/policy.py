"""`tocsin policy`: what the site's policy says, and what would become of an action by it."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from cyclopts import App
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.budgets import BudgetsOfActions
from orchestrator.actions.demands import DemandedApprovals
from orchestrator.actions.explaining import Explained, Explainer, asking
from orchestrator.actions.ledger import PostgresLedger
from orchestrator.actions.modes import Modes
from orchestrator.audit.database import make_engine
from orchestrator.bootstrap import at_the_site, known_here, never_touch_of
from orchestrator.cli.console import as_json, complain, plain, say, table
from orchestrator.cli.operator import me
from orchestrator.errors import TocsinError
from orchestrator.language.reference_files import load_reference
from orchestrator.local.endpoints import current_endpoints
from orchestrator.policy.file import find_policy, policy_path
from orchestrator.policy.in_force import Recorded
from orchestrator.policy.operators import VERBS
from orchestrator.policy.policy import DEFAULT, Policy, read_policy
from orchestrator.policy.store import InForce, PolicyStore
from orchestrator.settings import Settings, load_settings
from orchestrator.versions.history import listed

policy = App(name="policy", help="Read the site's policy: who may do what by hand, and what would become of an action.")
STYLES = {"sent": "green", "asked about": "yellow", "shadowed": "yellow", "halted": "red", "refused": "red"}


@policy.command
async def show(*, past: bool = False, json: bool = False) -> None:
    """Show the policy in force, since when, and who may do what by hand; exit code 1 where its file is broken.

    Parameters
    ----------
    past
        Show when which policy was in force, in place of what this one says.
    json
        One line of JSON.
    """
    settings = load_settings()
    engine = make_engine(current_endpoints(settings).database)
    try:
        store = PolicyStore(engine)
        if past:
            _show_past(await store.past(), json=json)
            return
        found, broken = await store.now(), await store.broken()
    finally:
        await engine.dispose()
    folder = _folder(settings, found)
    if json:
        as_json(_plain(found, broken, folder))
    else:
        _show(settings, found, folder)
    for one in broken if not json else ():
        complain(f"{one['file']}:{one['line']}: {one['message']}; {one['hint']}")
    sys.exit(1 if broken else 0)


@policy.command
async def explain(
    capability: str, target: str = "", *, playbook: str = "", integration: str = "", json: bool = False
) -> None:
    """Say what would become of an action now, and by which line of which file; exit code 0 where it would be sent.

    Nothing is sent. The rails themselves are asked, in the gateway's order: never-touch lists, mode, kill switch,
    whether people have to be asked, and how far the budgets are used.

    Parameters
    ----------
    capability
        What would be done, as firewall.block_ip.
    target
        To what, as 203.0.113.7 or ip:203.0.113.7.
    playbook
        Whose run would do it; a person, where none is named.
    integration
        At this one alone, by its name in the settings; at all that serve it, where none is named.
    json
        One line of JSON.
    """
    settings = load_settings()
    endpoints = current_endpoints(settings)
    async with at_the_site(settings, endpoints) as (engine, catalog, reference, site):
        known = known_here(settings, catalog)
        _named("capability", capability, catalog.capabilities)
        context = asking(playbook or None, shadow=await _own_mode(engine, playbook, known.playbooks or ()))
        routes = site.route(capability)
        if integration:
            _named("integration", integration, {one.name for one in routes})
            routes = [one for one in routes if one.name == integration]
        modes = Modes(Recorded(PolicyStore(engine)), settings.mode)
        demands = DemandedApprovals(PostgresLedger(engine), reference.current)
        guard = never_touch_of(settings, endpoints, catalog, reference)
        files = load_reference(settings.playbooks).files
        budgets = BudgetsOfActions(reference.current)
        explainer = Explainer(engine, guard, modes, demands, files, budgets)
        found = await explainer.explain(catalog.capabilities[capability], target, routes, context)
    if json:
        as_json([{"becomes": one.becomes, **asdict(one)} for one in found])
    else:
        _tell(capability, target, found)
    sys.exit(0 if any(one.becomes in ("sent", "asked about") for one in found) else 1)


def _named(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        raise TocsinError(f"no {kind} is named {name} here; {hint}")


async def _own_mode(engine: AsyncEngine, playbook: str, folder: Collection[str]) -> str:
    """What the playbook itself says that makes its runs shadow."""
    if not playbook:
        return ""
    found = {one.name: one.mode for one in await listed(engine)}
    _named("playbook", playbook, {*found, *folder})
    return f"mode: shadow in the file of {playbook}" if found.get(playbook) == "shadow" else ""


def _tell(capability: str, target: str, found: Sequence[Explained]) -> None:
    if not found:
        say(f"nothing: no integration is configured here for {capability}", "yellow")
    for one in found:
        say(f"{capability} {target} at {one.integration}: {one.becomes}", STYLES[one.becomes])
        table(("rail", "says", "by"), ((told.rail, told.verdict, told.by) for told in one.told))


def _folder(settings: Settings, found: InForce | None) -> str:
    """What the folder here holds, beside what is in force."""
    here = find_policy(settings.playbooks)
    if here.text is None:
        return "absent" if not here.findings else "broken"
    return "same" if found is not None and here.text == found.content else "differs"


def _of(found: InForce | None) -> Policy:
    return (read_policy(found.content, found.file).policy if found else None) or DEFAULT


def _plain(found: InForce | None, broken: list[dict[str, Any]], folder: str) -> dict[str, Any]:
    made = _of(found)
    return {
        "digest": made.digest, "file": made.file or None, "since": found.since.isoformat() if found else None,
        "by": found.by if found else None, "default": found is None, "folder": folder, "broken": broken,
        "policy": made.model.model_dump(mode="json", by_alias=True),
    }  # fmt: skip


def _show(settings: Settings, found: InForce | None, folder: str) -> None:
    made, who = _of(found), me()
    if found is None:
        say(f"the defaults are in force, all live: there is no {policy_path(settings.playbooks)}")
    else:
        say(f"{found.file}, in force since {found.since:%Y-%m-%d %H:%M:%SZ} by {found.by}", "bold")
        plain(found.content.rstrip())
        say("")
    rows = []
    for verb in VERBS:
        refused = made.refusal(verb, who)
        rule = made.model.may.told(verb)
        rows.append((verb, rule, "no" if refused else "yes", str(made.line(("may", verb), "")).rstrip(": ")))
    table(("by hand", "who may", f"{who.name} ({who.trust})", "line"), rows)
    words = {"differs": "the folder here holds another policy", "absent": "the folder here holds none"}
    if folder in words and found is not None:
        say(f"{words[folder]} than the one in force" if folder == "differs" else words[folder], "yellow")


def _show_past(found: Sequence[InForce], *, json: bool) -> None:
    if json:
        as_json([{name: value for name, value in asdict(one).items() if name != "content"} for one in found])
        return
    table(
        ("since", "until", "file", "digest", "by"),
        (
            (f"{one.since:%Y-%m-%d %H:%M:%S}", f"{one.until:%Y-%m-%d %H:%M:%S}" if one.until else "in force", one.file,
             one.digest.removeprefix("sha256:")[:12], one.by)
            for one in found
        ),
    )  # fmt: skip
