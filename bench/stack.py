"""Private servers in a throw-away folder: meter's embedded stack, with a seeded database to copy from."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from bench.workload import ORGANIZATIONS, USERS_EACH
from meter.amqp import broker_connection
from meter.consumers.topology import declare_topology
from meter.db.migrate import migrate
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR
from meter.local.rabbitmq_source import find_rabbitmq
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

SQL = Path(__file__).with_name("sql")
_TEMPLATE = "bench_template"
_RUN = "bench_run"


@dataclass(frozen=True, slots=True)
class Stack:
    """Running servers.

    Attributes:
        folder: for logs; gone at the end.
        postgres: the database server.
        amqp_url: the broker, as its operator.
    """

    folder: Path
    postgres: PostgresServer
    amqp_url: str = field(repr=False)

    async def fresh_database(self) -> str:
        """Replace the database of the run before by a copy of the seeded one; returns its address.

        The copy ends with a checkpoint, so that no run pays for the log of another.
        """
        await self.drop_database()
        await self._administer(f"create database {_RUN} template {_TEMPLATE}")
        await self._administer("checkpoint")
        return self.postgres.dsn(_RUN)

    async def drop_database(self) -> None:
        """Remove the database of the last run, where there is one."""
        await self._administer(f"drop database if exists {_RUN} with (force)")

    async def _administer(self, statement: str) -> None:
        await _execute(self.postgres.dsn("postgres"), statement)


@asynccontextmanager
async def running_stack() -> AsyncIterator[Stack]:
    """Start both servers, declare the topology, seed a database to copy from; remove all at the end."""
    cache = load_settings().cache_dir
    with _throwaway_folder() as folder:
        postgres = PostgresServer(folder / "postgres", await postgres_bin_dir(cache))
        rabbitmq = RabbitServer(folder / "rabbitmq", await find_rabbitmq(cache, lambda _text, _part: None))
        try:
            await postgres.start()
            await rabbitmq.start()
            await _seed(postgres)
            stack = Stack(folder, postgres, rabbitmq.url(OPERATOR))
            async with broker_connection(stack.amqp_url, name="bench topology") as connection:
                await declare_topology(connection)
            yield stack
        finally:
            await rabbitmq.stop()
            await postgres.stop()


async def _seed(postgres: PostgresServer) -> None:
    await _execute(postgres.dsn("postgres"), f"create database {_TEMPLATE}")
    await migrate(postgres.dsn(_TEMPLATE))
    seed = (SQL / "seed.sql").read_text()
    await _execute(postgres.dsn(_TEMPLATE), seed, ORGANIZATIONS, USERS_EACH)
    await _execute(postgres.dsn(_TEMPLATE), "vacuum analyze")


async def _execute(dsn: str, statement: str, *arguments: object) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(statement, *arguments)
    finally:
        await connection.close()


@contextmanager
def _throwaway_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="meter-bench-"))
    # The account that the servers drop to must be able to pass through.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
