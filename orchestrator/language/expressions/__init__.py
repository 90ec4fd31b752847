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
from orchestrator.language.expressions.types import Problem, check_types
from orchestrator.language.expressions.values import ABSENT, plain

__all__ = [
    "ABSENT",
    "Expression",
    "Names",
    "Problem",
    "Reason",
    "Template",
    "Tree",
    "check_types",
    "compile_condition",
    "compile_template",
    "compile_tree",
    "compile_value",
    "plain",
    "render_tree",
]
