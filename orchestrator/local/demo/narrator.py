"""Tells what happens, as the audit records it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.audit.database import single_statement

NEWER = text("""
SELECT place, at, type, run, subject, body FROM tocsin.audit_event WHERE place > :place ORDER BY place LIMIT 500
""")
Say = Callable[[str, str], None]
"""Called with a line and its style."""


class Narrator:
    """Reads the audit's newest events and says what a person wants to know of them."""

    def __init__(self, engine: AsyncEngine, say: Say) -> None:
        self._engine = engine
        self._say = say
        self._place = 0

    async def catch_up(self) -> None:
        """Tell what is new."""
        async with single_statement(self._engine) as connection:
            rows = (await connection.execute(NEWER, {"place": self._place})).mappings().all()
        for row in rows:
            self._place = row["place"]
            told = _TOLD.get(row["type"])
            if told:
                line, style = told(row["run"] or "", row["subject"] or "", row["body"])
                self._say(f"{row['at']:%H:%M:%S}  {line}", style)


def _received(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return f"alert     {body['severity']:<13} {body['title']}", ""


def _matched(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    why = ", ".join(f"{path}={value}" for path, value in body["values"].items() if value is not None)
    return f"  chosen  {body['playbook']}: {why}", "dim"


def _joined(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return f"  joins   {run}", "dim"


def _done(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    result = body.get("result") or {}
    said = ", ".join(f"{name}={value}" for name, value in result.items() if value not in (None, [], ""))
    style = "bold red" if body["capability"] == "firewall.block_ip" else "green"
    return f"  action  {body['capability']} {said} ({body['milliseconds'] or 0:.0f} ms)", style


def _failed(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return f"  action  {body['capability']} failed: {body['error']['message']}", "red"


def _asked(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return f"  asks    {body['ask']}", "bold yellow"


def _decided(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    if body["auto"]:
        reason = body.get("reason")
        values = reason["values"] if isinstance(reason, dict) else {}
        return "  no person needed: " + ", ".join(f"{path}={value}" for path, value in values.items()), "bold"
    word = "approved" if body["status"] == "succeeded" else body["status"]
    return f"  decided {word} by {body['by'] or 'silence'} ({body['trust']})", "bold yellow"


def _ended(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return f"  ended   {run}: {body['state']}", "dim" if body["state"] == "succeeded" else "red"


def _dead(run: str, subject: str, body: dict[str, Any]) -> tuple[str, str]:
    return (
        f"dead      {body['reason']}: {body['message']} ({body['topic']}:{body['partition']}:{body['offset']})",
        "magenta",
    )


_TOLD: dict[str, Callable[[str, str, dict[str, Any]], tuple[str, str]]] = {
    "alert.received": _received,
    "alert.matched": _matched,
    "alert.joined": _joined,
    "alert.counted": _joined,
    "action.done": _done,
    "action.failed": _failed,
    "approval.asked": _asked,
    "approval.decided": _decided,
    "run.ended": _ended,
    "dead_letter.written": _dead,
}
