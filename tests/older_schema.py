"""A database as an older version of meter left it: its migrations alone, and the functions that matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg

from meter.db import migrate as migrating
from meter.db.schema import Definitions, migrations

if TYPE_CHECKING:
    import pytest
    from tests.private_servers import FreshDatabase


async def migrated_to(
    version: int, database: FreshDatabase, monkeypatch: pytest.MonkeyPatch, functions: str = "select 1"
) -> str:
    """Make a database beside the given one whose last migration is an earlier one.

    Args:
        version: of the last migration.
        database: names the server.
        monkeypatch: takes the later migrations away meanwhile.
        functions: what that version stated beside them.

    Returns:
        Where it is, as superuser; ``migrate`` does the rest.
    """
    name = f"{database.name}_at_{version}"
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(f"create database {name}")
    await connection.close()
    dsn = database.server.dsn(name)
    earlier = tuple(step for step in migrations() if step.version <= version)
    with monkeypatch.context() as patched:
        patched.setattr(migrating, "migrations", lambda: earlier)
        patched.setattr(migrating, "definitions", lambda: Definitions(functions, f"of {version}"))
        await migrating.migrate(dsn)
    return dsn
