"""Three private RabbitMQ nodes that are one broker, with a proxy of ours on every way between two of them."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from tests.running_worker import until
from tests.tcp_proxy import TcpProxy, tcp_proxy

from meter.local.machine import LOOPBACK
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import USERS
from meter.local.rabbitmq_member import Member
from meter.local.rabbitmq_source import find_rabbitmq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from meter.local.rabbitmq_files import BrokerUser

NODES = 3
#: RabbitMQ's own 60 s would make every partition last a minute before anyone acts on it.
_TICK_SECONDS = 8
_RUNNING = "length([Node || Node <- [node() | nodes()], rabbit:is_running(Node)])."
#: Each takes about a second on a busy machine.
_STEADY_LOOKS = 5


class BrokerCluster:
    """The nodes by number, and what can be done to each."""

    def __init__(self, nodes: Sequence[RabbitServer], between: dict[tuple[int, int], TcpProxy]) -> None:
        self.nodes = nodes
        self._between = between

    def url(self, user: BrokerUser) -> str:
        """The addresses of all nodes for a user."""
        return ",".join(node.url(user) for node in self.nodes)

    async def kill(self, number: int) -> None:
        """Kill a node without a warning."""
        child = self.nodes[number].child
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()

    async def start(self, number: int) -> None:
        """Start a node again, stopping it first if it runs; returns when it is a member once more."""
        await self.nodes[number].restart()
        await self.whole()

    @asynccontextmanager
    async def cut_off(self, number: int) -> AsyncIterator[None]:
        """Let nothing through between a node and the others, and close nothing: a lost route."""
        ways = [proxy for ends, proxy in self._between.items() if number in ends]
        flowing = [proxy.stall() for proxy in ways]
        try:
            yield
        finally:
            # TCP gives connections up that were silent for so long; what was on its way is lost.
            for proxy in ways:
                proxy.cut()
            for event in flowing:
                event.set()

    @contextmanager
    def frozen(self, number: int) -> Iterator[None]:
        """Let a node do nothing at all."""
        pid = self.nodes[number].child.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def whole(self) -> None:
        """Wait until every node sees every other one, and goes on to.

        One that was away may serve for a moment before it notices, and begins anew then.
        """
        in_a_row = 0

        async def look() -> int:
            nonlocal in_a_row
            seen = await asyncio.gather(*(node.evaluate(_RUNNING) for node in self.nodes))
            in_a_row = in_a_row + 1 if seen == [f"{{ok, {NODES}}}"] * NODES else 0
            return in_a_row

        await until(look, lambda times: times >= _STEADY_LOOKS)

    async def leader(self, queue: str) -> int:
        """Which node leads a queue, by number."""
        resource = f'rabbit_misc:r(<<"meter">>, queue, <<"{queue}">>)'
        expression = f"{{ok, Q}} = rabbit_amqqueue:lookup({resource}), element(2, amqqueue:get_pid(Q))."
        for node in self.nodes:
            if node.child.running and (said := await node.evaluate(expression)):
                return int(said.partition("meter-")[2].partition("@")[0]) - 1
        raise AssertionError("no node knows who leads")


@asynccontextmanager
async def running_cluster(
    cache_dir: Path, folder: Path, *, tick_seconds: int = _TICK_SECONDS
) -> AsyncIterator[BrokerCluster]:
    """Start three nodes that find each other, all at once; stop them at the end.

    Args:
        cache_dir: where RabbitMQ is.
        folder: of all of them.
        tick_seconds: how long a node may be silent until the others, and it, know that it is cut off.
    """
    binaries = await find_rabbitmq(cache_dir, lambda _text, _part: None)
    cookie = secrets.token_hex(20)
    passwords = {user.name: secrets.token_urlsafe(24) for user in USERS}
    async with AsyncExitStack() as stack:
        numbers = range(NODES)
        # Kept to the end, since they keep the ports from others until the nodes themselves are there.
        promised = [RabbitServer(folder / str(number), binaries) for number in numbers]
        ports = [server.assign_ports()["dist"] for server in promised]
        between = {
            (here, there): await stack.enter_async_context(tcp_proxy(LOOPBACK, ports[there]))
            for here in numbers
            for there in numbers
            if here != there
        }
        nodes = [
            RabbitServer(
                folder / str(here),
                binaries,
                member=Member(
                    _name(here),
                    {_name(there): between[here, there].port for there in numbers if there != here},
                    cookie,
                    passwords,
                    tick_seconds,
                ),
            )
            for here in numbers
        ]
        stack.push_async_callback(_stop, nodes)
        async with asyncio.TaskGroup() as starting:
            for node in nodes:
                starting.create_task(node.start())
        yield BrokerCluster(nodes, between)


async def _stop(nodes: Sequence[RabbitServer]) -> None:
    async with asyncio.TaskGroup() as stopping:
        for node in nodes:
            stopping.create_task(node.stop())


def _name(number: int) -> str:
    return f"meter-{number + 1}@localhost"
