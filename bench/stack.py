"""Private servers in a throw-away folder: meter's embedded stack."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import forks
from bench.databases import Databases
from bench.programs import Programs
from meter.amqp import broker_connection
from meter.consumers.topology import declare_topology
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR
from meter.local.rabbitmq_source import find_rabbitmq
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclass(frozen=True, slots=True)
class Stack:
    """Running servers.

    Attributes:
        folder: for logs; gone at the end.
        postgres: the database server.
        databases: its databases.
        programs: of meter, and peers.
        amqp_url: the broker, as its operator.
    """

    folder: Path
    postgres: PostgresServer
    databases: Databases
    programs: Programs
    amqp_url: str = field(repr=False)


@asynccontextmanager
async def running_stack(*, in_haste: bool = False) -> AsyncIterator[Stack]:
    """Start both servers and declare the topology; remove all at the end.

    Args:
        in_haste: as for :class:`Databases` and :class:`Programs`.
    """
    if in_haste:
        forks.prepare()
    cache = load_settings().cache_dir
    with _throwaway_folder() as folder:
        postgres = PostgresServer(folder / "postgres", await postgres_bin_dir(cache))
        rabbitmq = RabbitServer(folder / "rabbitmq", await find_rabbitmq(cache, lambda _text, _part: None))
        try:
            databases = Databases(postgres, in_haste=in_haste)
            async with asyncio.TaskGroup() as starting:
                starting.create_task(rabbitmq.start())
                await postgres.start()
                # The broker takes longer.
                await databases.prepare()
            amqp_url = rabbitmq.url(OPERATOR)
            stack = Stack(
                folder, postgres, databases, Programs(folder, amqp_url, in_haste=in_haste), amqp_url
            )
            async with broker_connection(stack.amqp_url, name="bench topology") as connection:
                await declare_topology(connection)
            yield stack
            # Nobody waits until they have written what nobody will read.
            for child, how in ((postgres.child, signal.SIGQUIT), (rabbitmq.child, signal.SIGKILL)):
                if child.pid is not None:
                    os.kill(child.pid, how)
        finally:
            await rabbitmq.stop()
            await postgres.stop()


@contextmanager
def _throwaway_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="meter-bench-"))
    # The account that the servers drop to must be able to pass through.
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
