"""The capabilities that ship: one file per family, each found by scanning this package."""
