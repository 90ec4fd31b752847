"""Proof of the checker: playbooks with one mistake each, made by a machine, and what was said of them before they ran."""
