"""The lab: a small service that plays firewall, directory, tickets, intelligence and chat."""

from orchestrator.local.lab.service import Lab

__all__ = ["Lab"]
