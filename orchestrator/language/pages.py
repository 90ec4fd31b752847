"""A page that shows all playbooks of a folder to people who have to trust them: why, what starts them, the picture."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.language.drawing import draw
from orchestrator.language.interpreter import Capabilities
from orchestrator.language.model import ActionStep, every_step
from orchestrator.language.program import Playbook

INTRODUCTION = """# Playbooks

What is done here about which alerts, and why. Made by `tocsin pages`; the files say more.
"""


def pages_of(playbooks: Mapping[str, Playbook], capabilities: Capabilities) -> dict[str, str]:
    """The text of each file, by its path below the folder that they are written to."""
    playbooks = dict(sorted(playbooks.items()))
    files = {f"pictures/{name}.svg": draw(name, one.model, capabilities, "svg") for name, one in playbooks.items()}
    rows = [f"| [{name}](#{name}) | {one.title} | {_starts(one)} |" for name, one in playbooks.items()]
    table = ["| playbook | what it does | started by |", "| --- | --- | --- |", *rows]
    sections = [_section(name, one, capabilities) for name, one in playbooks.items()]
    return {"playbooks.md": "\n".join([INTRODUCTION, *table, "", *sections]), **files}


def _section(name: str, playbook: Playbook, capabilities: Capabilities) -> str:
    model = playbook.model
    facts = [
        ("Started by", _starts(playbook)),
        ("ATT&CK", ", ".join(_technique(one) for one in model.attack)),
        ("D3FEND", ", ".join(_countermeasures(playbook, capabilities))),
        ("Changes", ", ".join(f"`{one}`" for one in _changes(playbook, capabilities))),
        ("Calls", ", ".join(f"[{one}](#{one})" for one in sorted(playbook.uses))),
        ("Owner", model.owner or ""),
        ("Tests", str(len(model.tests))),
    ]
    lines = [f"## {name}", "", f"**{model.title}.** {model.why or ''}".strip(), ""]
    lines += [f"- {what}: {text}" for what, text in facts if text]
    return "\n".join([*lines, "", f"![{model.title}](pictures/{name}.svg)", ""])


def _starts(playbook: Playbook) -> str:
    trigger = playbook.model.trigger
    found = ["alerts"] if trigger.match else []
    if trigger.schedule:
        found.append(f"the clock (`{trigger.schedule.cron}`, {trigger.schedule.tz})")
    if trigger.manual:
        found.append("people")
    return ", ".join(found) or "other playbooks"


def _technique(technique: str) -> str:
    return f"[{technique}](https://attack.mitre.org/techniques/{technique.replace('.', '/')}/)"


def _actions(playbook: Playbook) -> list[str]:
    steps = every_step((*playbook.model.steps, *playbook.model.on_failure))
    return list(dict.fromkeys(step.action for step in steps if isinstance(step, ActionStep)))


def _changes(playbook: Playbook, capabilities: Capabilities) -> list[str]:
    """What it may do to products, reads aside."""
    return [name for name in _actions(playbook) if name in capabilities and capabilities[name].effect.mutates]


def _countermeasures(playbook: Playbook, capabilities: Capabilities) -> list[str]:
    found = [capabilities[name].d3fend for name in _actions(playbook) if name in capabilities]
    return list(dict.fromkeys(one for one in found if one))
