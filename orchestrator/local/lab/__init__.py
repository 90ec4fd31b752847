"""The lab: a small service that plays the products of a SOC, and does all it is asked as often as it is asked."""

from orchestrator.local.lab.service import Lab

__all__ = ["Lab"]
