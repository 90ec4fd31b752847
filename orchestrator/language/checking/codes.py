"""Every finding of the checker by its code, with what it means."""

from __future__ import annotations

from collections.abc import Mapping

CODES: Mapping[str, str] = {
    "yaml": "the file is not YAML as playbooks use it",
    "shape": "a part of the file is not what stands there",
    "name": "the file's name cannot be a playbook's name",
    "unknown_key": "a key that nothing has here",
    "missing_key": "a key that is needed here",
    "step_kind": "a step says what it does with exactly one key",
    "value": "a value does not fit its key",
    "expression": "an expression cannot be read",
    "type": "a field does not exist, a type cannot fit, or a comparison can never hold",
    "unknown_action": "no capability has this name",
    "unknown_parameter": "the capability, or the sub-playbook, does not take this parameter",
    "missing_parameter": "the capability, or the sub-playbook, needs this parameter",
    "parameter": "a literal does not fit the parameter's type",
    "unknown_step": "no step has this id",
    "site": "a list or calendar that no run can read",
    "used_too_early": "the step is used before it runs",
    "may_be_absent": "a value that may be absent stands where one is needed",
    "duplicate_id": "two steps have one id",
    "no_end": "a reversible action says neither `for` nor `keep: true`",
    "needless": "a key that means nothing for this step",
    "unattended": "an irreversible action that nobody approves",
    "covers": "an approval covers something that it cannot show or decide",
    "people": "a question's times, people or silence make no sense",
    "trust": "an unverified answer opens the way to what cannot be undone",
    "vars": "a variable that may not have a value, or is given one in two branches at once",
    "undo": "a step whose effect cannot be undone",
    "unknown_playbook": "no playbook has this name",
    "recursion": "playbooks call one another in a circle, or too deeply",
    "never": "a trigger, a condition or a step that can never come true",
    "cases": "cases that are missing, twice, or can never fit",
    "schedule": "a schedule that is none",
    "inputs": "inputs that nobody can give",
    "untested": "a playbook with `match` needs a test that starts it and one that does not",
    "checker": "the checker itself failed; the file is not used",
    "test": "a test names something that the playbook does not have",
}
