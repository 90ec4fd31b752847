"""`tocsin schema`: what editors need to help whoever writes a playbook."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App

from orchestrator.actions.catalog import scan
from orchestrator.cli.console import say
from orchestrator.language.schema import schema_text


def add_to(app: App) -> None:
    """Add the commands."""
    app.command(schema)


def schema(*, output: Path | None = None) -> None:
    """Write the JSON schema of playbooks, with which editors complete and explain them.

    Name it in the first line of a playbook: `# yaml-language-server: $schema=./playbook.schema.json`

    Parameters
    ----------
    output
        The file to write, as `playbooks/playbook.schema.json`; printed where none is named.
    """
    _write(schema_text(scan().capabilities), output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    say(f"{output} is written", "green")
