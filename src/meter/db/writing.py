"""What every gateway of the control plane shares: its connections, and how a write over HTTP can fail."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncpg

from meter.db.pool import open_pool
from meter.db.refusals import DatabaseNotReachable, refusals_as_errors
from meter.errors import InvalidArgument, MeterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Connections of one process: writes are short, and those of one organization wait for each other anyway.
WRITER_MAX_CONNECTIONS = 10

#: Milliseconds until the server gives up a write: a thousand waiting events are settled in less, and a pool
#: that is locked so long is locked by something that hangs.
STATEMENT_TIMEOUT_MS = 15_000

#: Milliseconds until the server ends a transaction in which we say nothing: it may hold a pool, and
#: settlement would wait for a process that hangs.
IDLE_TIMEOUT_MS = 5_000


#: Seconds until a write gives up waiting for a connection: all of them wait for something that hangs then.
ACQUIRE_TIMEOUT_S = 10.0


class WriteTookTooLong(MeterError):
    """The database did not finish in time and nothing was written; try again."""

    retryable = True


async def open_writer(
    dsn: str | Callable[[], str], *, statement_timeout_ms: int = STATEMENT_TIMEOUT_MS
) -> asyncpg.Pool:
    """Open connections that act as ``meter_admin``.

    Args:
        dsn: the primary; or what tells it anew for every connection.
        statement_timeout_ms: the server gives up a write after this.

    Returns:
        The pool; nothing is connected before it is needed.

    Raises:
        ValueError: the DSN cannot be understood.
    """
    return await open_pool(
        dsn,
        "meter_admin",
        max_connections=WRITER_MAX_CONNECTIONS,
        statement_timeout_ms=statement_timeout_ms,
        idle_in_transaction_timeout_ms=IDLE_TIMEOUT_MS,
    )


@contextmanager
def writing() -> Iterator[None]:
    """Turn what a write can fail with into errors of meter.

    Raises:
        SettlementError: a rule of our functions refuses it.
        WriteTookTooLong: the statement timeout.
        InvalidArgument: a value that PostgreSQL cannot hold.
        DatabaseNotReachable: everything else: a write that the database fails can succeed later.
    """
    try:
        with refusals_as_errors():
            yield
    except asyncpg.QueryCanceledError as error:
        raise WriteTookTooLong from error
    except (asyncpg.DataError, UnicodeEncodeError) as error:
        raise InvalidArgument("a value is outside what the database can hold") from error
    except asyncpg.PostgresError as error:
        raise DatabaseNotReachable(f"the database cannot answer ({error.sqlstate})") from error
