"""Expressions and templates of playbooks: Jinja's syntax, rules of our own, cost bounded by construction.

Only Jinja's parser is used. Its tree is checked against an allow-list of nodes, filters and tests and compiled once to
closures. Fields are items, never attributes; filters give lists, never generators; text is never parsed again.
"""

from orchestrator.language.expressions.compiled import (
    Expression,
    Names,
    Reason,
    Template,
    Tree,
    compile_condition,
    compile_template,
    compile_tree,
    compile_value,
    render_tree,
)
from orchestrator.language.expressions.types import (
    MAY_BE_ABSENT,
    Problem,
    Scope,
    check_types,
    guarded,
    infer,
    type_of,
    wanted_at,
)
from orchestrator.language.expressions.values import ABSENT, plain

__all__ = [
    "ABSENT",
    "MAY_BE_ABSENT",
    "Expression",
    "Names",
    "Problem",
    "Reason",
    "Scope",
    "Template",
    "Tree",
    "check_types",
    "compile_condition",
    "compile_template",
    "compile_tree",
    "compile_value",
    "guarded",
    "infer",
    "plain",
    "render_tree",
    "type_of",
    "wanted_at",
]
