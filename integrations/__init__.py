"""One file per product that Tocsin can act on; each is found by scanning this package."""
