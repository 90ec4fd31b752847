"""6 RECORD: the audit's events, its order, its relay to Kafka, and reading it."""
