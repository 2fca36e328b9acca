"""Where the parts of a running stack are."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DatabaseAddresses:
    """Where the database is, by who acts; an external one is the same for all. They contain passwords."""

    owner: str = field(repr=False)
    worker: str = field(repr=False)
    reader: str = field(repr=False)
    admin: str = field(repr=False)
    #: For what may be a moment old; None: there is none.
    replica: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class BrokerAddresses:
    """Where the broker is, by who acts; an external one is the same for all. They contain passwords."""

    operator: str = field(repr=False)
    publisher: str = field(repr=False)
    worker: str = field(repr=False)
    replayer: str = field(repr=False)
    #: For Prometheus; None for an external broker.
    metrics_url: str | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything of a running stack is. Databases and brokers contain passwords."""

    database: DatabaseAddresses = field(repr=False)
    broker: BrokerAddresses = field(repr=False)
    api_url: str
    api_metrics_url: str
    admin_url: str
    admin_metrics_url: str
    worker_url: str
    #: For the seeded user; None where the database is not an embedded one.
    token: str | None = field(repr=False)
