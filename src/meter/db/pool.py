"""Connections to the database, each acting as one of meter's roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import asyncpg

from meter.db.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable

Role = Literal["meter_worker", "meter_reader", "meter_admin"]

#: Seconds until a connection attempt is given up: a database that answers does so in milliseconds.
CONNECT_TIMEOUT_SECONDS = 10.0

#: Seconds until a statement is given up from this side: the network may have gone without a word. Longer than
#: any statement of ours needs; a settlement given up is tried again, and what was committed is a duplicate.
COMMAND_TIMEOUT_SECONDS = 60.0


async def open_pool(
    dsn: str | Callable[[], str],
    role: Role,
    *,
    max_connections: int,
    read_only: bool = False,
    statement_timeout_ms: int = 0,
    idle_in_transaction_timeout_ms: int = 0,
    command_timeout_s: float = COMMAND_TIMEOUT_SECONDS,
) -> asyncpg.Pool:
    """Open connections that act as one role, whatever login they come with.

    Args:
        dsn: the database; its login must be the role or a member of it. Where it names several servers, who
            may write gets the one to write to, whichever that is at the moment. Or what tells it anew for
            every connection.
        role: what the connections may do.
        max_connections: at most so many at once; none is opened before it is needed.
        read_only: refuse every write on top of what the role is refused.
        statement_timeout_ms: the server gives up a statement after this; 0 for never.
        idle_in_transaction_timeout_ms: the server ends a session that says nothing within a transaction for
            so long; 0 leaves it to the server's own setting.
        command_timeout_s: this side gives it up after so many seconds.

    Returns:
        The pool; close it with ``await pool.close()``.

    Raises:
        ValueError: the DSN cannot be understood.
    """
    settings = {
        "role": role,
        "application_name": role.replace("_", " "),
        "search_path": "public, pg_temp",
        "timezone": "UTC",
        "statement_timeout": str(statement_timeout_ms),
        # Our statements run for milliseconds; compiling one takes hundreds.
        "jit": "off",
    }
    if idle_in_transaction_timeout_ms:
        settings["idle_in_transaction_session_timeout"] = str(idle_in_transaction_timeout_ms)
    if read_only:
        settings["default_transaction_read_only"] = "on"
    return await asyncpg.create_pool(
        min_size=0,
        max_size=max_connections,
        server_settings=settings,
        # All of ours stay prepared; asyncpg's own bound, 15 KiB, is shorter than the longest.
        max_cacheable_statement_size=0,
        timeout=CONNECT_TIMEOUT_SECONDS,
        command_timeout=command_timeout_s,
        reset=_keep,
        connect=Servers(dsn, primary=role != "meter_reader").connect,
    )


async def _keep(_connection: object) -> None:
    """Leave a connection as it is: what we send leaves nothing behind, and asking would cost a round trip."""
