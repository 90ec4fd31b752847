"""Proof of the checker: playbooks with one machine-made mistake each, and what was said of them before they ran."""
