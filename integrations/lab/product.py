"""The lab as a product: where it is, how a request is authorised, and the words that all its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from orchestrator.contract import MANY, Call, Config, FileRef, Http, Integration, Secret

SETTLES = 1.0
"""seconds within which a request that was not answered has taken effect, or never will"""


class LabConfig(Config):
    """Where the lab listens, and its token."""

    url: str
    token: Secret


async def authorize(config: LabConfig, http: Http) -> Mapping[str, str]:
    """The header that every request carries."""
    return {"authorization": f"Bearer {config.token.get_secret_value()}"}


lab = Integration("lab", "The lab", LabConfig, base_url=lambda config: config.url, authorize=authorize)
LabCall = Call[LabConfig]


UNNAMED = "-"
"""for paths that name nothing: a segment that a path has no place for is left out"""


@lab.keeps_files
async def content(call: LabCall, file: FileRef) -> bytes:
    """The bytes of a file that one of the lab's systems gave out."""
    return (await call.http.request("GET", "/files/{name}", name=file.sha256)).body


async def get(call: LabCall, path: str, query: Mapping[str, str] | None = None, *, name: str = UNNAMED) -> Any:
    """What the lab says; `name` fills the path's `{name}`."""
    return (await call.http.request("GET", path, query=query, name=name)).json()


async def send(call: LabCall, method: str, path: str, body: Mapping[str, Any], *, name: str = UNNAMED) -> Any:
    """Change something. The lab writes the key into its log and beside what it makes; it never acts on it."""
    headers = {"Idempotency-Key": call.key}
    return (await call.http.request(method, path, json=body, headers=headers, name=name)).json()


def back(within: timedelta) -> dict[str, str]:
    """How the lab is told how far back to look."""
    return {"within": f"{within.total_seconds():.0f}"}


def cut(rows: list[Any]) -> dict[str, Any]:
    """Whether a result leaves something out, which is said and never hidden; `rows[:MANY]` is what it holds."""
    return {"truncated": len(rows) > MANY}
