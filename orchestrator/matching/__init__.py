"""3 MATCH: alerts against playbooks, pure: what was chosen and why, and the ids of runs."""
