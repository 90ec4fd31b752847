"""Keep people from a page that shares its domain with honest ones; see who opened it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from orchestrator.contract.capability import MANY, Capability, Effect, Parameters, Result
from orchestrator.contract.values import AccountName, Duration, IpAddress, Url


class BlockUrl(Parameters):
    """Which page, and the words that the proxy keeps beside the entry."""

    url: Url
    reason: str = ""


class Page(Parameters):
    """Which page."""

    url: Url


class Visits(Parameters):
    """Of which page, and how far back."""

    url: Url
    within: Duration = timedelta(days=7)


class UrlState(Result):
    """Whether the proxy refuses the page, and since which entry of its own."""

    url: Url
    blocked: bool
    entry: str | None = None


class Visit(Result):
    """One request for the page. A `POST` may have carried a password; `refused` ones reached nothing."""

    time: datetime
    ip: IpAddress
    method: str
    refused: bool = False
    account: AccountName | None = None


class VisitList(Result):
    """The requests for the page, newest first; `truncated` where there were more."""

    url: Url
    visits: Annotated[tuple[Visit, ...], Field(max_length=MANY)] = ()
    truncated: bool = False


block_url = Capability(
    "web.block_url", BlockUrl, UrlState, Effect.REVERSIBLE, "Refuse every request for a page.",
    target="url", inverse="web.unblock_url", state="web.url_state", d3fend="D3-OTF",
)  # fmt: skip
unblock_url = Capability(
    "web.unblock_url", Page, UrlState, Effect.REVERSIBLE, "Let people open a page again.",
    target="url", inverse="web.block_url", state="web.url_state",
)  # fmt: skip
url_state = Capability("web.url_state", Page, UrlState, Effect.READ, "Whether a page is blocked now.", target="url")
list_visits = Capability("web.list_visits", Visits, VisitList, Effect.READ, "Who opened a page.", target="url")
