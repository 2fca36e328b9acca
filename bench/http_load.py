"""Many requests over kept connections at little cost: client and server share the machine."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.api import Served

#: Requests at once where as many as possible are asked for: the server always has the next one waiting.
_AT_ONCE = 32
_OK = b"HTTP/1.1 200 "
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Load:
    """Requests to one server, asked in turns.

    Attributes:
        served: the server.
        paths: what is asked for, again and again.
    """

    served: Served
    paths: Sequence[str]

    async def most(self, requests: int) -> float:
        """Ask as fast as answers come.

        Args:
            requests: how many.

        Returns:
            Requests a second.
        """
        waiting = itertools.islice(itertools.cycle(self._requests()), requests)

        async def lane(connection: _Connection) -> None:
            for request in waiting:
                await connection.ask(request)

        async with self._connections(_AT_ONCE) as connections:
            began = time.perf_counter()
            await asyncio.gather(*(lane(connection) for connection in connections))
            return requests / (time.perf_counter() - began)

    async def steady(self, rate: float, until: asyncio.Event) -> list[float]:
        """Ask at a steady rate, whether or not the answers come.

        Args:
            rate: requests a second.
            until: ends it.

        Returns:
            How many seconds each answer took, from the moment when it was to be asked for.
        """
        requests = itertools.cycle(self._requests())
        took: list[float] = []
        async with self._connections(_AT_ONCE) as connections, asyncio.TaskGroup() as asking:
            idle = asyncio.Queue[_Connection]()
            for connection in connections:
                idle.put_nowait(connection)

            async def ask(due: float, request: bytes) -> None:
                connection = await idle.get()
                await connection.ask(request)
                took.append(time.perf_counter() - due)
                idle.put_nowait(connection)

            began = time.perf_counter()
            for number in itertools.count():
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                if until.is_set():
                    break
                asking.create_task(ask(due, next(requests)))
        return took

    def _requests(self) -> list[bytes]:
        head = "".join(f"{name}: {value}\r\n" for name, value in self.served.headers.items())
        return [
            f"GET {path} HTTP/1.1\r\nHost: {self.served.host}:{self.served.port}\r\n{head}\r\n".encode()
            for path in self.paths
        ]

    @asynccontextmanager
    async def _connections(self, count: int) -> AsyncIterator[list[_Connection]]:
        opened = [
            _Connection(*await asyncio.open_connection(self.served.host, self.served.port))
            for _ in range(count)
        ]
        try:
            yield opened
        finally:
            for connection in opened:
                connection.close()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: bytes) -> None:
        self._writer.write(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = head.index(_LENGTH) + len(_LENGTH)
        await self._reader.readexactly(int(head[length : head.index(b"\r", length)]))
        if not head.startswith(_OK.lower()):
            raise RuntimeError(f"the server answered {head.splitlines()[0].decode()}")

    def close(self) -> None:
        self._writer.close()
