"""The worker: usage events from RabbitMQ, settled in PostgreSQL, acknowledged after the commit."""

from meter.consumers.topology import DEAD_QUEUE, USAGE_EXCHANGE, USAGE_QUEUE, declare_topology
from meter.consumers.worker import run_worker

__all__ = ["DEAD_QUEUE", "USAGE_EXCHANGE", "USAGE_QUEUE", "declare_topology", "run_worker"]
