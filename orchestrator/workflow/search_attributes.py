"""The search attributes of every run: they make the Temporal UI an inbox."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

PLAYBOOK = SearchAttributeKey.for_keyword("TocsinPlaybook")
SEVERITY = SearchAttributeKey.for_keyword("TocsinSeverity")
STATE = SearchAttributeKey.for_keyword("TocsinState")
AWAITING = SearchAttributeKey.for_keyword_list("TocsinAwaiting")
MODE = SearchAttributeKey.for_keyword("TocsinMode")

TYPES: dict[str, str] = {
    key.name: kind
    for key, kind in (
        (PLAYBOOK, "Keyword"),
        (SEVERITY, "Keyword"),
        (STATE, "Keyword"),
        (AWAITING, "KeywordList"),
        (MODE, "Keyword"),
    )
}
"""Name and type of each, as the namespace has to know them before the first run."""


def of_run(playbook: str, severity: str, mode: str) -> TypedSearchAttributes:
    """What a run is found by when it starts. `AWAITING` names the steps that wait for people."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(PLAYBOOK, playbook),
            SearchAttributePair(SEVERITY, severity),
            SearchAttributePair(STATE, "running"),
            SearchAttributePair(AWAITING, []),
            SearchAttributePair(MODE, mode),
        ]
    )
