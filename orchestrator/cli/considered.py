"""What the playbooks make of an alert: those in force, with where the folder holds something else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from orchestrator.actions.catalog import Catalog
from orchestrator.alerts.alert import Alert
from orchestrator.bootstrap import load
from orchestrator.errors import FilesRefused
from orchestrator.language.program import Playbook
from orchestrator.settings import Settings
from orchestrator.versions.registry import Registry


@dataclass(frozen=True)
class Considered:
    """The playbooks that an alert is explained by; `differs` says in words what else the folder holds, by name.

    `source` is `in force`, or `folder` where no servers could be asked.
    """

    playbooks: tuple[Playbook, ...]
    differs: Mapping[str, str]
    source: str = "in force"

    def told(self, alert: Alert) -> dict[str, object]:
        """Every playbook with what its condition comes to."""
        names = {"alert": alert, "now": alert.time}
        looked = [
            {"playbook": one.name, "digest": one.digest, "match": one.match.source, **asdict(one.match.explain(names))}
            for one in self.playbooks
            if one.match is not None
        ]
        return {"by": self.source, "playbooks": looked, "folder_differs": dict(self.differs)}


async def in_force(engine: AsyncEngine, settings: Settings, catalog: Catalog) -> Considered:
    """What alerts are matched against now, as the database has it."""
    playbooks = await Registry(engine, by="").playbooks()
    try:
        loaded = load(settings, catalog)
    except FilesRefused as refused:
        return Considered(tuple(playbooks), {str(settings.playbooks): f"cannot be read: {refused}"})
    broken = {one.place.file: str(one) for one in loaded.errors}
    return Considered(tuple(playbooks), differences(playbooks, loaded.playbooks, broken))


def in_folder(settings: Settings, catalog: Catalog) -> Considered:
    """What the folder holds, where nobody can say what is in force."""
    return Considered(tuple(load(settings, catalog).playbooks.values()), {}, source="folder")


def differences(
    serving: Iterable[Playbook], folder: Mapping[str, Playbook], broken: Mapping[str, str]
) -> dict[str, str]:
    """Where the folder holds another version than what is in force, in words; `broken` files hold none."""
    digests = {one.name: one.digest for one in serving}
    told = {file: f"is broken, so it is not put in force: {first}" for file, first in sorted(broken.items())}
    for name in sorted(digests.keys() | folder.keys()):
        here = folder.get(name)
        if here is None:
            told[name] = "is in force, and the folder holds no good version of it"
        elif name not in digests:
            told[name] = "stands in the folder, and is not in force"
        elif here.digest != digests[name]:
            told[name] = "stands in the folder in another version than the one in force"
    return told
