"""The SQL that Python sends, kept in ``sql/statements/*.sql`` as blocks that begin with ``-- name: …``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _blocks() -> dict[str, str]:
    blocks: dict[str, str] = {}
    for file in (files("meter.db") / "sql" / "statements").iterdir():
        _, *parts = _NAME.split(file.read_text("utf-8"))
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in blocks:
                raise ValueError(f'two SQL statements are named "{name}"')
            blocks[name] = sql.strip()
    return blocks


def statement(name: str) -> str:
    """Look up one statement.

    Args:
        name: as its block is headed.

    Returns:
        The SQL text.

    Raises:
        KeyError: no block has this name.
    """
    return _blocks()[name]
