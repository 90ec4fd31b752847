"""The embedded Postgres, Temporal and Kafka that `tocsin up` starts, and the lab."""
