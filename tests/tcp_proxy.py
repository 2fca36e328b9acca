"""A TCP proxy that can fail the way networks do: cut, refuse, go silent, be slow, and drop half a frame."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

_BLOCK_BYTES = 65_536


class TcpProxy:
    """Forwards a port of its own to a server until it is told otherwise."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target = (host, port)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = _set_event()
        self._silenced: list[asyncio.Event] = []
        self._halving = False
        #: How long every block is held up, in seconds.
        self.delay_s = 0.0
        #: How much of each direction of each connection gets through; all of it when 0.
        self.bytes_per_second = 0
        self._clients: set[asyncio.StreamWriter] = set()
        self.accepted = asyncio.Condition()
        self.connections = 0
        self.port = 0

    async def listen(self) -> None:
        """Accept connections; on the same port as before when it listened before."""
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stop listening and cut what is connected: the server is away."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> None:
        """Reset every connection; new ones are still accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def silence(self) -> asyncio.Event:
        """Forward nothing more on the connections there are, close nothing: what a lost route looks like.

        Returns:
            What to set to let them speak again.
        """
        silenced, self._flowing = self._flowing, _set_event()
        silenced.clear()
        self._silenced.append(silenced)
        return silenced

    def stall(self) -> asyncio.Event:
        """Forward nothing more, on new connections neither, and close nothing: the route is gone for a while.

        Returns:
            What to set when it is back; what was on its way then arrives.
        """
        self._flowing.clear()
        self._silenced.append(self._flowing)
        return self._flowing

    def halve(self) -> None:
        """Forward only half of the next block of any connection, then cut all of them."""
        self._halving = True

    def release(self) -> None:
        """Let every silenced connection end."""
        for silenced in self._silenced:
            silenced.set()

    def say(self, frame: bytes) -> None:
        """Tell every client something in the server's name; between two of its own frames."""
        for client in self._clients:
            client.write(frame)

    async def connected(self, times: int) -> None:
        """Wait until so many connections were accepted in all."""
        async with self.accepted:
            await self.accepted.wait_for(lambda: self.connections >= times)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.accepted:
            self.connections += 1
            self.accepted.notify_all()
        self._writers.add(writer)
        self._clients.add(writer)
        flowing = self._flowing
        try:
            with suppress(OSError):
                there_reader, there_writer = await asyncio.open_connection(*self._target)
                self._writers.add(there_writer)
                await asyncio.gather(
                    self._pipe(reader, there_writer, flowing), self._pipe(there_reader, writer, flowing)
                )
        finally:
            self._writers.discard(writer)
            self._clients.discard(writer)
            writer.close()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flowing: asyncio.Event
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(_BLOCK_BYTES):
                await flowing.wait()
                await self._hold_up(len(block))
                if self._halving:
                    await self._send_half(block, writer)
                    return
                writer.write(block)
                await writer.drain()
        self._writers.discard(writer)
        writer.close()

    async def _hold_up(self, size: int) -> None:
        seconds = self.delay_s + (size / self.bytes_per_second if self.bytes_per_second else 0)
        if seconds:
            await asyncio.sleep(seconds)

    async def _send_half(self, block: bytes, writer: asyncio.StreamWriter) -> None:
        self._halving = False
        # An aborted connection drops what it has not sent: let the half leave first.
        writer.transport.set_write_buffer_limits(0)
        writer.write(block[: len(block) // 2])
        await writer.drain()
        self.cut()


@asynccontextmanager
async def tcp_proxy(host: str, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[TcpProxy]:
    """Run a proxy that listens, for as long as the context lasts.

    Args:
        host: where the server is.
        port: its port.
        tls: what clients must speak to the proxy; the server is spoken to in the clear.
    """
    proxy = TcpProxy(host, port, tls)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.refuse()
        proxy.release()


def _set_event() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event
