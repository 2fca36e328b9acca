"""Ways to write a batch of usage: each takes a connection and a batch, and is one transaction."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench.techniques.batches import FIELDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from bench.techniques.batches import Batch

_SQL = Path(__file__).with_name("sql")
_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class Way:
    """A way to write a batch.

    Attributes:
        title: as the table shows it.
        write: writes a batch.
        before: a statement of ``sql`` that is run before, once.
        after: one that undoes it.
        size: events of a batch.
    """

    title: str
    write: Callable[[asyncpg.Connection, Batch], Awaitable[object]]
    before: str | None = None
    after: str | None = None
    size: int = 2_000


@cache
def sql(name: str) -> str:
    """Read a statement."""
    return (_SQL / f"{name}.sql").read_text()


async def raw_json(connection: asyncpg.Connection, batch: Batch) -> None:
    """Pass the published JSON through."""
    await connection.execute(sql("raw_json"), (b"[" + b",".join(batch.events) + b"]").decode())


async def flat_json(connection: asyncpg.Connection, batch: Batch) -> None:
    """Write rated events as JSON again."""
    objects = [
        dict(zip(FIELDS, (*row[:-1], msgspec.Raw(row[-1].encode())), strict=True)) for row in batch.rows
    ]
    await connection.execute(sql("flat_json"), _encode(objects).decode())


async def arrays(connection: asyncpg.Connection, batch: Batch) -> None:
    """Hand over columns."""
    await connection.execute(sql("arrays"), *batch.columns)


async def arrays_trusting(connection: asyncpg.Connection, batch: Batch) -> None:
    """Hand over columns of events that are known to be new."""
    await connection.execute(sql("arrays_trusting"), *batch.columns)


async def arrays_text(connection: asyncpg.Connection, batch: Batch) -> None:
    """Hand over columns, amounts as text."""
    credits, quantities = FIELDS.index("credits"), FIELDS.index("quantity")
    columns = [
        [str(amount) for amount in column] if place in (credits, quantities) else column
        for place, column in enumerate(batch.columns)
    ]
    await connection.execute(sql("arrays_text"), *columns)


async def staging(connection: asyncpg.Connection, batch: Batch) -> None:
    """COPY into a temporary table, and from there into the ledger."""
    async with connection.transaction():
        await connection.copy_records_to_table("staged", records=batch.rows)
        await connection.execute(sql("staged"))


async def one_statement(connection: asyncpg.Connection, batch: Batch) -> None:
    """Rows and balances in one statement."""
    await connection.execute(sql("one_statement"), *batch.columns)


async def two_statements(connection: asyncpg.Connection, batch: Batch) -> None:
    """Rows in one statement, balances in another, added up in between."""
    async with connection.transaction():
        sums: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        for org_id, user_id, credits in await connection.fetch(sql("rows_returning"), *batch.columns):
            sums[org_id, user_id] += credits
        org_ids, user_ids = zip(*sums, strict=True)
        await connection.execute(sql("balances"), org_ids, user_ids, list(sums.values()))


async def function(connection: asyncpg.Connection, batch: Batch) -> None:
    """Rows and balances in a PL/pgSQL function."""
    await connection.execute(sql("function_call"), *batch.columns)


#: What is compared with what; the first of each group is what the others are set against.
GROUPS: dict[str, tuple[Way, ...]] = {
    "how the rows get there": (
        Way("arrays (unnest)", arrays),
        Way("published JSON passed through", raw_json),
        Way("JSON written anew", flat_json),
        Way("COPY to a staging table", staging, before="stage", after="stage_off"),
    ),
    "a row that may be there": (
        Way("on conflict do nothing", arrays),
        Way("without", arrays_trusting),
    ),
    "amounts": (Way("numeric", arrays), Way("as text", arrays_text)),
    "an index on metadata": (
        Way("none", arrays),
        Way("GIN", arrays, before="gin_on", after="gin_off"),
    ),
    "rows and balances": (
        Way("one statement", one_statement),
        Way("two statements", two_statements),
        Way("PL/pgSQL", function, before="function"),
    ),
    "batch size": tuple(
        Way(f"{size:,}", one_statement, size=size) for size in (2_000, 100, 500, 5_000, 8_000)
    ),
}
