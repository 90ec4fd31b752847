"""Tocsin: alerts in, playbooks matched, runs durable, actions guarded, everything recorded."""
