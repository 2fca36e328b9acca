"""The worker: usage events from RabbitMQ, settled in PostgreSQL, acknowledged after the commit."""
