"""The lab: a small service that plays firewall, directory, ticket system, intelligence and chat, for newcomers and tests."""

from orchestrator.local.lab.service import Lab

__all__ = ["Lab"]
