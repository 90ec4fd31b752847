"""Tocsin's own past as a product: it answers `history.effects` and `history.runs`, and needs no settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import AnyCapability
from orchestrator.audit.database import single_statement, storable
from orchestrator.contract import Call, Config, Integration, InvalidCall
from orchestrator.contract.capabilities import history

# what the same alert led to is not the past: neither the run that asks nor its sub-playbooks
NOT_OWN = "run <> :run AND event IS DISTINCT FROM (SELECT event FROM tocsin.run WHERE run = :run)"
EFFECTS = """
SELECT intended_at AS at, run, playbook, capability, integration, target, state, until, count(*) OVER () AS count
FROM tocsin.action
WHERE effect <> 'read' AND mode = 'live' AND state IN ('done', 'undone', 'unknown') AND {conditions}
ORDER BY intended_at DESC, key LIMIT :limit
"""
RUNS = """
SELECT started_at AS started, run, playbook, mode, state, severity, group_key AS key, failed_step, ended_at AS ended,
    count(*) OVER () AS count
FROM tocsin.run
WHERE {conditions}
ORDER BY started_at DESC, run LIMIT :limit
"""
# each is added only where it is asked for, so that the database finds the index
CONDITIONS = {
    "target": "target = ANY(CAST(:targets AS text[]))",
    "capability": "capability = :capability",
    "playbook": "playbook = :playbook",
    "key": "group_key = :key",
    "about": "run IN (SELECT run FROM tocsin.action WHERE target = ANY(CAST(:targets AS text[])))",
    "acted": "intended_at >= clock_timestamp() - make_interval(secs => :within)",
    "started": "started_at >= clock_timestamp() - make_interval(secs => :within)",
    "not_own": NOT_OWN,
}


def own_history(engine: AsyncEngine, capabilities: Mapping[str, AnyCapability]) -> Integration[Config]:
    """The product that answers from the ledger and the runs; `capabilities` say in which spellings targets stand."""
    product = Integration("tocsin", "Tocsin's own ledger", Config)
    targets = Targets(capabilities)

    @product.reads(history.effects)
    async def effects(call: Call[Config], want: history.PastEffects) -> history.EffectList:
        """What was done to the target."""
        asked = ["target", "acted", *(["capability"] if want.capability else [])]
        values = {"targets": targets.spelled(want.target), "capability": want.capability, **_bounds(call, want)}
        rows = await _rows(engine, EFFECTS, asked if want.own else [*asked, "not_own"], values)
        found = [{name: row[name] for name in history.PastEffect.model_fields} for row in rows]
        return history.EffectList(effects=found, **_counted(rows))

    @product.reads(history.runs)
    async def runs(call: Call[Config], want: history.PastRuns) -> history.RunList:
        """The runs that have all that is asked for."""
        given = {"playbook": want.playbook, "key": want.key, "about": want.target}
        asked = ["started", *(name for name, value in given.items() if value)]
        values = {"playbook": storable(want.playbook), "key": storable(want.key), **_bounds(call, want)}
        values["targets"] = targets.spelled(want.target) if want.target else []
        rows = await _rows(engine, RUNS, asked if want.own else [*asked, "not_own"], values)
        found = [{name: row[name] for name in history.PastRun.model_fields} for row in rows]
        return history.RunList(runs=found, **_counted(rows))

    return product


class Targets:
    """How the ledger writes what is acted upon: `kind:value`, in the one spelling of its kind."""

    def __init__(self, capabilities: Mapping[str, AnyCapability]) -> None:
        self._kinds: dict[str, TypeAdapter[Any]] = {}
        for one in capabilities.values():
            if one.target is not None:
                field = one.takes.model_fields[one.target]
                kind = getattr(field.annotation, "kind", one.target)
                annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
                self._kinds.setdefault(kind, TypeAdapter(annotation))

    def spelled(self, target: str) -> list[str]:
        """All that this may stand for: of the kind before its colon, else of every kind that it could be one of."""
        kind, colon, rest = target.partition(":")
        if colon and kind in self._kinds:
            try:
                return [self._of(kind, rest)]
            except ValidationError as error:
                raise InvalidCall(f"target: {rest!r} is no {kind}: {_reason(error)}") from None
        return [found for kind in self._kinds if (found := self._if_any(kind, target))]

    def _if_any(self, kind: str, value: str) -> str | None:
        try:
            return self._of(kind, value)
        except ValidationError:
            return None

    def _of(self, kind: str, value: str) -> str:
        return f"{kind}:{storable(str(self._kinds[kind].validate_python(value)))}"


def _reason(error: ValidationError) -> str:
    return error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")


def _bounds(call: Call[Config], want: history.PastEffects | history.PastRuns) -> dict[str, Any]:
    return {"within": want.within.total_seconds(), "limit": want.limit, "run": call.run}


def _counted(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    count = rows[0]["count"] if rows else 0
    return {"count": count, "truncated": len(rows) < count}


async def _rows(
    engine: AsyncEngine, statement: str, asked: list[str], values: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    query = text(statement.format(conditions=" AND ".join(CONDITIONS[name] for name in asked)))
    async with single_statement(engine) as connection:
        return [dict(row) for row in (await connection.execute(query, values)).mappings()]
