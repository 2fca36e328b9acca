"""Which databases the API reads: the primary, and a replica for what may be a moment old."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from meter.db.reading import open_reader
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from meter.db.reader import ReaderConnections
    from meter.settings import Settings


@dataclass(frozen=True, slots=True)
class ReadDatabases:
    """Connections that act as ``meter_reader``.

    Attributes:
        primary: where memberships and keys are read, so that who was removed is out at once.
        replica: where everything else is read; the primary itself where there is none.
    """

    primary: ReaderConnections
    replica: ReaderConnections


@asynccontextmanager
async def read_databases(settings: Settings) -> AsyncIterator[ReadDatabases]:
    """Open the connections, and close them at the end; none is made before it is needed.

    Args:
        settings: ``METER_DATABASE_URL`` and, for a replica, ``METER_READ_DATABASE_URL``.

    Raises:
        ConfigurationError: the primary is not set, or an address cannot be understood.
    """
    if settings.database_url is None:
        raise ConfigurationError(
            "METER_DATABASE_URL is not set; set it to the database to read from. A replica alone, in "
            "METER_READ_DATABASE_URL, is not enough: who belongs to an organization is asked of the primary"
        )
    async with await _opened(settings, "database_url") as primary:
        address = settings.read_database_url
        if address is None or address == settings.database_url:
            yield ReadDatabases(primary, primary)
            return
        async with await _opened(settings, "read_database_url") as replica:
            yield ReadDatabases(primary, replica)


async def _opened(
    settings: Settings, name: Literal["database_url", "read_database_url"]
) -> ReaderConnections:
    try:
        return await open_reader(partial(settings.current, name))
    except ValueError:
        raise ConfigurationError("the database URL cannot be understood") from None
