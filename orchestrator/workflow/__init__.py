"""4 RUN: the Temporal workflow that interprets a playbook, approvals, start and worker."""
