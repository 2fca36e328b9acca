"""The schema as files: numbered migrations, and definitions that are stated anew when they change."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, applied once and in order.

    Attributes:
        version: its number, from 1.
        name: what it brings.
        sql: its statements.
    """

    version: int
    name: str
    sql: str


@dataclass(frozen=True, slots=True)
class Definitions:
    """Functions, views and privileges, as one script that can be run again.

    Attributes:
        sql: the statements.
        checksum: SHA-256 of them, in hex.
    """

    sql: str
    checksum: str


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations of this version of meter, in order.

    Returns:
        The migrations; their versions count up from 1 without a gap.
    """
    found = [
        Migration(int(match["version"]), match["name"], file.read_text("utf-8"))
        for file in (files("meter.db") / "migrations").iterdir()
        if (match := _NAME.fullmatch(file.name))
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


@cache
def definitions() -> Definitions:
    """Everything that is stated anew whenever it changed.

    Returns:
        Functions first, then the views that may call them, then who may use what.
    """
    sql = files("meter.db") / "sql"
    parts = [
        *_scripts(sql / "functions"),
        *_scripts(sql / "views"),
        (sql / "privileges.sql").read_text("utf-8"),
    ]
    text = "\n".join(parts)
    return Definitions(text, hashlib.sha256(text.encode()).hexdigest())


def _scripts(folder: Traversable) -> list[str]:
    return [file.read_text("utf-8") for file in sorted(folder.iterdir(), key=lambda file: file.name)]
