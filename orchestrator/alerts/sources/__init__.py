"""One file per wire format; each is found by scanning this package."""
