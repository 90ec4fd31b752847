"""Measurements and long trials, run by hand: `python -m bench.<name> --help`."""
