"""5 ACT: the catalog, the gateway that every action goes through, and the ledger of effects."""
