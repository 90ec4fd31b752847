"""The whole file: its sections, each a small model in a module of its own, and what is checked of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import BeforeValidator, Field

from orchestrator.errors import Finding
from orchestrator.language.yaml_reader import Document
from orchestrator.policy.budgets import Budgets, check_budgets
from orchestrator.policy.demands import Demands, check_demands
from orchestrator.policy.maintenance import Windows, check_windows
from orchestrator.policy.modes import Modes, NewPlaybooks, as_new_playbooks, check_modes
from orchestrator.policy.operators import Groups, May, check_may
from orchestrator.policy.rates import Rates, check_rates
from orchestrator.policy.section import Known, Section


class PolicyDocument(Section):
    """A policy as a site writes it. What is left out is the default."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    modes: Modes = Modes()
    new_playbooks: Annotated[NewPlaybooks, BeforeValidator(as_new_playbooks)] = NewPlaybooks()
    groups: Groups = Field(default={})
    may: May = May()
    approvals: Demands = ()
    budgets: Budgets = Budgets()
    rates: Rates = Field(default={})
    maintenance: Windows = ()


Check = Callable[[PolicyDocument, Document, Known], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    lambda made, document, known: check_modes(made.modes, made.new_playbooks, document, known),
    lambda made, document, known: check_may(made.may, made.groups, document),
    lambda made, document, known: check_demands(made.approvals, document, known),
    lambda made, document, known: check_budgets(made.budgets, document, known),
    lambda made, document, known: check_rates(made.rates, document, known),
    lambda made, document, known: check_windows(made.maintenance, document, known),
)
"""what is said of a file whose form is right: one for each section"""
