"""The durable side of the publisher: accepted events are in files before ``record`` returns.

Needs a POSIX system (``flock`` and ``fork``); whoever publishes without a spool does not import it.
"""

from meter.publisher.spool.folder import checked_folder
from meter.publisher.spool.outbox import SpoolOutbox

__all__ = ["SpoolOutbox", "checked_folder"]
