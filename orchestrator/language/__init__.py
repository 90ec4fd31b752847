"""2 READ: the playbook language: its model, loader, expressions, checker, interpreter and simulator."""
