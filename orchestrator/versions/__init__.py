"""Which version of each playbook is in force: files watched, versions registered, what changed between them."""
