"""1 IN: the one Alert model, a source per wire format, the Kafka intake and the dead letters."""
