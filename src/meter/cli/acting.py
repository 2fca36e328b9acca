"""As whom an operator's command acts, and on which database."""

from __future__ import annotations

import asyncio
import getpass
from typing import TYPE_CHECKING, TypeVar

from meter.cli.addresses import database_url
from meter.db.authorship import Author
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

_T = TypeVar("_T")


def acting_login() -> str:
    """Say who does it, for the history: the login of whoever runs the command."""
    return f"cli:{getpass.getuser()}"


def acting_author() -> Author:
    """Say the same where a change tells by whose right: an operator needs nobody's."""
    return Author(acting_login())


def with_pool(call: Callable[[asyncpg.Pool], Awaitable[_T]]) -> _T:
    """Do something with the database.

    Args:
        call: is given connections acting as ``meter_admin``.

    Returns:
        What it returns.
    """

    async def run() -> _T:
        pool = await open_pool(database_url(), "meter_admin", max_connections=1)
        try:
            return await call(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
