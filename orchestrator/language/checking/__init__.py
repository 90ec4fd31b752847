"""What can be known of a playbook before it runs, all at once: what passes cannot fail on a misspelling or a type."""

from orchestrator.language.checking.checker import Library
from orchestrator.language.checking.codes import CODES
from orchestrator.language.checking.walk import Checker

__all__ = ["CODES", "Checker", "Library"]
