"""The search attributes of every run: they make the Temporal UI an inbox."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

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
