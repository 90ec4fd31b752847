"""Durations as playbooks write them; the contract has them too, for the parameters of actions."""

from orchestrator.contract.durations import LONGEST, format_duration, parse_duration

__all__ = ["LONGEST", "format_duration", "parse_duration"]
