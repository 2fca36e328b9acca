"""What every line measures with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from bench.backlog import fill
from bench.drain import drain
from bench.messages import batch_messages, encoded_events, single_messages
from bench.workload import usages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiormq.abc import AbstractChannel

    from bench.drain import Beside, Drain
    from bench.figures import Target
    from bench.messages import Message
    from bench.size import Size
    from bench.stack import Stack


@dataclass(frozen=True)
class Bench:
    """A run of the command.

    Attributes:
        stack: the servers.
        channel: to fill the queue, and to watch it.
        size: how much.
        only: the lines that are wanted; all where empty. ``B3`` stands for ``B3a`` and ``B3b``.
        step: told what is measured next.
        complain: told what was measured and what went wrong with it.
    """

    stack: Stack
    channel: AbstractChannel
    size: Size
    only: frozenset[str]
    step: Callable[[str], None]
    complain: Callable[[str, Exception], None]
    #: Of each usual drain the rate, and the address of the database that it left.
    _usual_drains: list[tuple[float, str]] = field(default_factory=list)

    def wants(self, *targets: Target) -> bool:
        """Whether any of these lines is asked for."""
        names = {name for target in targets for name in (target.line, target.line.rstrip("ab"))}
        return not self.only or bool(self.only & names)

    @cached_property
    def batches(self) -> list[Message]:
        """The usual backlog, many events a message; always the same, for databases that begin empty."""
        drawn = usages(self.size.batch_events)
        return batch_messages(drawn, encoded_events(drawn))

    @cached_property
    def singles(self) -> list[Message]:
        """The usual backlog at one event a message."""
        drawn = usages(self.size.single_events)
        return single_messages(drawn, encoded_events(drawn))

    async def drained(self, dsn: str, messages: Sequence[Message], *, beside: Beside | None = None) -> Drain:
        """Fill the queue, then drain it.

        Args:
            dsn: the database to settle into.
            messages: what to fill it with.
            beside: entered at the first delivery, left at the last commit.
        """
        await fill(self.channel, messages)
        events = sum(message.events for message in messages)
        return await drain(self.stack, self.channel, dsn, events=events, beside=beside)

    async def charged(self, dsn: str, messages: Sequence[Message]) -> float:
        """Fill the queue, then drain it into a database where everything can be charged.

        Returns:
            Events a second.
        """
        drained = await self.drained(dsn, messages)
        drained.expect(charged=sum(message.events for message in messages))
        return drained.rate

    async def usual(self) -> float:
        """Drain the usual backlog, by one worker, into a database that begins as usual.

        Returns:
            Events a second.
        """
        if not (self.size.in_haste and self._usual_drains):
            dsn = await self.stack.databases.fresh()
            self._usual_drains.append((await self.charged(dsn, self.batches), dsn))
        return self._usual_drains[-1][0]

    async def add_settled(self, name: str) -> str:
        """Make a database in which the usual backlog was settled; in haste a copy of one that was measured.

        Returns:
            Its address.
        """
        if self.size.in_haste:
            await self.usual()
            return await self.stack.databases.copy(self._usual_drains[-1][1], name)
        dsn = await self.stack.databases.add(name)
        await self.charged(dsn, self.batches)
        return dsn

    async def peer(self, name: str, messages: Sequence[Message], dsn: str = "") -> float:
        """Fill the queue, then let a peer empty it.

        Returns:
            Messages a second.
        """
        await fill(self.channel, messages)
        measured = await self.stack.programs.measured(f"bench.peers.{name}", str(len(messages)), dsn=dsn)
        return len(messages) / measured["seconds"]
