"""The door between intake and the playbooks in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.alerts.alert import Alert
from orchestrator.alerts.project import project
from orchestrator.alerts.requests import StartRequest
from orchestrator.language.program import Playbook
from orchestrator.matching.ids import run_name, workflow_id
from orchestrator.matching.match import Index, Match, match


@dataclass(frozen=True)
class ChosenPlaybook:
    """A match as intake takes it."""

    match: Match

    @property
    def told(self) -> dict[str, Any]:
        """Playbook and reason, for the audit."""
        playbook = self.match.playbook
        reason = {"playbook": playbook.name, "digest": playbook.digest, **asdict(self.match.reason)}
        joins = {} if self.match.may_start else {"only_joins": True}
        return {**reason, "key": self.match.group_key, **joins}

    def request(self, alert: Alert) -> StartRequest:
        """What to start; raises `DeadLetter` where the alert is too large for a run."""
        playbook, key = self.match.playbook, self.match.group_key
        return StartRequest(
            playbook=playbook.name,
            digest=playbook.digest,
            document=playbook.document,
            bundle=playbook.bundle,
            mode=playbook.model.mode,
            title=alert.title,
            alert=project(alert, playbook.raw_paths),
            alert_key=alert.key,
            severity=str(alert.severity),
            group_key=key,
            join=playbook.join,
            workflow_id=workflow_id(playbook.name, alert.key, key),
            run=run_name(playbook.name, alert.key),
            reason=asdict(self.match.reason),
            may_start=self.match.may_start,
        )


class PlaybooksInForce:
    """The playbooks that alerts are matched against; `replace` puts others in force."""

    def __init__(self, playbooks: Sequence[Playbook]) -> None:
        self._index = Index(playbooks)

    def replace(self, playbooks: Sequence[Playbook]) -> None:
        """From now on, these."""
        self._index = Index(playbooks)

    @property
    def playbooks(self) -> tuple[Playbook, ...]:
        """Those in force now."""
        return self._index.playbooks

    def choose(self, alert: Alert) -> Sequence[ChosenPlaybook]:
        """Every playbook that the alert starts."""
        return [ChosenPlaybook(one) for one in match(alert, self._index)]
