"""Filters and tests, a file for each family; each is found by scanning this package."""
