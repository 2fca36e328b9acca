"""Logins of the embedded PostgreSQL, so that every process acts as its own role there too."""

from __future__ import annotations

import secrets
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

if TYPE_CHECKING:
    from meter.db.pool import Role

#: By role; the names say that they belong to the embedded server.
_LOGINS: dict[Role, str] = {
    "meter_worker": "local_worker",
    "meter_reader": "local_reader",
    "meter_admin": "local_admin",
}


async def make_logins(dsn: str) -> dict[Role, str]:
    """Give each of meter's roles a login with a new random password.

    Args:
        dsn: the superuser's address of a migrated database.

    Returns:
        The database's address by role; contains the passwords.
    """
    template = files("meter.local").joinpath("sql", "login_role.sql").read_text()
    addresses: dict[Role, str] = {}
    connection = await asyncpg.connect(dsn)
    try:
        for role, login in _LOGINS.items():
            password = secrets.token_urlsafe(24)
            await connection.execute(await connection.fetchval(template, login, password, role))
            addresses[role] = _as_login(dsn, login, password)
    finally:
        await connection.close()
    return addresses


def _as_login(dsn: str, login: str, password: str) -> str:
    parts = urlsplit(dsn)
    server = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(password, safe='')}@{server}"))
