"""The client library of a service that meters usage: record and forget."""

from meter.publisher.blocking import BlockingPublisher
from meter.publisher.outbox import Counters
from meter.publisher.publisher import Publisher
from meter.publisher.spool_settings import FsyncPolicy

__all__ = ["BlockingPublisher", "Counters", "FsyncPolicy", "Publisher"]
