"""The policy's file in the folder of the playbooks: `site/policy.yaml`, under the same review as they."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import Finding, Place
from orchestrator.language.wording import near
from orchestrator.language.yaml_reader import LARGEST
from orchestrator.policy.policy import Parsed, read_policy
from orchestrator.policy.section import Known

FOLDER, NAME = "site", "policy.yaml"


@dataclass(frozen=True)
class PolicyFile:
    """The file as it was found: its text, none where there is none, and what keeps it from being read."""

    path: str
    text: str | None = None
    findings: tuple[Finding, ...] = ()

    def parsed(self, known: Known | None) -> Parsed:
        """The policy in it; nothing, with no findings, where there is no file."""
        if self.text is None:
            return Parsed(None, self.findings)
        read = read_policy(self.text, self.path, known)
        return Parsed(None if self.findings else read.policy, (*self.findings, *read.findings))


def policy_path(playbooks: Path) -> Path:
    """Where the policy of this folder of playbooks stands."""
    return playbooks / FOLDER / NAME


def find_policy(playbooks: Path) -> PolicyFile:
    """Look at the file. Another name there is a mistake: nobody would read it, and without a policy much is allowed."""
    path = policy_path(playbooks)
    stray = [one for one in sorted(path.parent.glob("*.y*ml")) if one.name != NAME and not one.name.startswith(".")]
    findings = [
        Finding(Place(str(one), 1), "name", f"only {NAME} is read here", near(one.name, [NAME]) or "move it elsewhere")
        for one in stray
    ]
    if not path.exists() and not path.is_symlink():
        return PolicyFile(str(path), None, tuple(findings))
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST} bytes")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        findings.append(Finding(Place(str(path), 1), "unreadable", f"cannot be read: {error}"))
        return PolicyFile(str(path), None, tuple(findings))
    return PolicyFile(str(path), text, tuple(findings))
