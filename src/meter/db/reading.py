"""What every gateway of the read API shares: connections that cannot write, and how a read can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from meter.db.pool import open_pool
from meter.db.reader import ReaderConnections
from meter.db.refusals import DatabaseNotReachable, refusals_as_errors
from meter.errors import InvalidArgument, MeterError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

#: Connections of one API process: reads are short, and more at once than the database has cores only queue
#: there.
READER_MAX_CONNECTIONS = 10

#: Milliseconds until the server gives up a read: longer than a summary of millions of entries takes, shorter
#: than callers and proxies wait.
STATEMENT_TIMEOUT_MS = 15_000


class ReadTookTooLong(MeterError):
    """The database did not finish in time; ask for less, for instance a shorter period."""

    retryable = True


async def open_reader(
    dsn: str | Callable[[], str], *, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> ReaderConnections:
    """Open connections that act as ``meter_reader``, refuse every write and show what their reader may see.

    Args:
        dsn: the database or a replica of it; or what tells it anew for every connection.
        statement_timeout_ms: the server gives up a read after this.

    Returns:
        The connections; none is opened before it is needed.

    Raises:
        ValueError: the DSN cannot be understood.
    """
    return ReaderConnections(
        await open_pool(
            dsn,
            "meter_reader",
            max_connections=READER_MAX_CONNECTIONS,
            read_only=True,
            statement_timeout_ms=statement_timeout_ms,
        )
    )


class reading:  # noqa: N801 - a context manager; as a generator it would cost every balance three times as much
    """Turn what a read can fail with into errors of meter.

    Raises:
        ReadTookTooLong: the statement timeout.
        InvalidArgument: a value that PostgreSQL cannot hold or our functions refuse.
        DatabaseNotReachable: everything else: a read that the database fails can succeed later.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End; raises what the error means."""
        if error is not None:
            _raise_as_ours(error)


def _raise_as_ours(failure: BaseException) -> None:
    try:
        with refusals_as_errors():
            raise failure
    except asyncpg.QueryCanceledError as error:
        raise ReadTookTooLong from error
    except (asyncpg.DataError, UnicodeEncodeError) as error:
        raise InvalidArgument("a value is outside what the database can hold") from error
    except asyncpg.PostgresError as error:
        raise DatabaseNotReachable(f"the database cannot answer ({error.sqlstate})") from error
