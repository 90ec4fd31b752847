"""The ids of runs: made of the playbook and the alert, so that the same alert always means the same run."""

from __future__ import annotations

from orchestrator.alerts.keys import safe_name


def run_name(playbook: str, alert_key: str) -> str:
    """The run's own name, whatever workflow carries it."""
    return f"{playbook}/a/{alert_key.replace('/', '.')}"


def workflow_id(playbook: str, alert_key: str, group_key: str | None) -> str:
    """The id in Temporal: one run for each alert, or one open run for each key."""
    if group_key is None:
        return run_name(playbook, alert_key)
    return f"{playbook}/k/{safe_name(group_key)}"
