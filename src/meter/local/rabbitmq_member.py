"""What makes a private RabbitMQ node a member of a cluster: name, common secrets, neighbours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meter.local.child import ServerNotStarted
from meter.local.machine import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The name of a node that is alone. It is only known to the port mapper of this node, so every node may have
#: the same.
ALONE = "meter@localhost"

_ALIVE_REQUEST = 120
_VISIBLE_NODE = 77
#: The handshake of Erlang 23 and later, and of those before.
_VERSIONS = (6, 5)
_REGISTERED = (118, 121)
_ANSWER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Member:
    """One node of a cluster, as it is told about the others.

    Attributes:
        name: of the node, ``name@localhost``.
        neighbours: the loopback ports at which it reaches the other nodes' Erlang, by name.
        cookie: the secret by which the nodes trust each other.
        passwords: of the broker's users, by name.
        tick_seconds: a neighbour that says nothing for about so long is gone.
    """

    name: str
    neighbours: Mapping[str, int]
    cookie: str = field(repr=False)
    passwords: Mapping[str, str] = field(repr=False)
    tick_seconds: int = 60

    def settings(self) -> list[str]:
        """Its lines of ``rabbitmq.conf``: who belongs together, and that a minority stops to serve."""
        names = sorted((self.name, *self.neighbours))
        return [
            "cluster_formation.peer_discovery_backend = classic_config",
            *(f"cluster_formation.classic_config.nodes.{at} = {name}" for at, name in enumerate(names, 1)),
            # Whoever is connected to a minority gets nothing and cannot know: it has to send them elsewhere.
            "cluster_partition_handling = pause_minority",
            f"net_ticktime = {self.tick_seconds}",
        ]


class Acquaintances:
    """Tells the port mapper of a node where its neighbours are, in their name.

    Every node has a port mapper of its own, which forgets who does not hold the connection to it.
    """

    def __init__(self) -> None:
        self._held: list[asyncio.StreamWriter] = []

    async def introduce(self, neighbours: Mapping[str, int], mapper_port: int) -> None:
        """Register the neighbours.

        Args:
            neighbours: their ports by name.
            mapper_port: where the port mapper listens.

        Raises:
            ServerNotStarted: it refused.
        """
        for name, port in neighbours.items():
            reader, writer = await asyncio.open_connection(LOOPBACK, mapper_port)
            self._held.append(writer)
            writer.write(_alive(name.partition("@")[0].encode(), port))
            async with asyncio.timeout(_ANSWER_SECONDS):
                kind, refused = await reader.readexactly(2)
            if kind not in _REGISTERED or refused:
                raise ServerNotStarted(f"the port mapper does not take the neighbour {name}")

    def forget(self) -> None:
        """Let go of the port mapper."""
        for writer in self._held:
            writer.transport.abort()
        self._held.clear()


def _alive(name: bytes, port: int) -> bytes:
    request = b"".join(
        (
            bytes((_ALIVE_REQUEST,)),
            port.to_bytes(2),
            bytes((_VISIBLE_NODE, 0)),
            *(version.to_bytes(2) for version in _VERSIONS),
            len(name).to_bytes(2),
            name,
            b"\0\0",
        )
    )
    return len(request).to_bytes(2) + request
