"""Where the broker is: one node or several of a cluster, and whose turn it is to be tried."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meter.amqp import CONNECT_SECONDS, BrokerLost, broker_connection
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiormq.abc import AbstractConnection

#: Addresses separated by commas, or what tells them anew for every connection: a secret that is rotated.
Urls = str | Callable[[], str]

#: A comma between addresses has the next one's scheme behind it; one in a password has not.
_BETWEEN = re.compile(r"\s*,\s*(?=amqps?://)")
#: How long a node may take to answer while there are others not tried yet, in seconds: a healthy one needs
#: milliseconds. Once all have failed each is given all the time that a single one has.
NODE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Node:
    """One node to connect to.

    Attributes:
        url: with the password.
        connect_seconds: how long it may take to answer.
    """

    url: str = field(repr=False)
    connect_seconds: float = CONNECT_SECONDS

    @property
    def place(self) -> str:
        """Where it is, without who we are: fit for logs."""
        parts = urlsplit(self.url)
        port = f":{parts.port}" if parts.port else ""
        return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


class Nodes:
    """The nodes of one broker, one tried after the other.

    Everyone begins with another one, so that a cluster is used evenly.
    """

    def __init__(self, urls: Urls) -> None:
        """Check the addresses; nothing is connected.

        Args:
            urls: ``amqp://`` or ``amqps://``, each complete, separated by commas; or what tells them.

        Raises:
            ConfigurationError: one cannot be used.
        """
        self._urls = urls
        self._known = self._read()
        self.begin()

    def begin(self) -> None:
        """Begin anew, with any of them."""
        self._turn = random.randrange(len(self._known))  # noqa: S311 - spreads load, guards nothing
        self._failures = 0

    def next(self) -> Node:
        """The node whose turn it is, with its address as it is now.

        Raises:
            ConfigurationError: the addresses cannot be used any more.
        """
        self._known = self._read()
        others_left = self._failures < len(self._known) and len(self._known) > 1
        url = self._known[self._turn % len(self._known)]
        return Node(url, NODE_SECONDS if others_left else CONNECT_SECONDS)

    def failed(self) -> None:
        """Note that the present node cannot be reached or was lost: it is the next one's turn."""
        self._turn += 1
        self._failures += 1

    def reached(self) -> None:
        """Note that the present node does what it should."""
        self._failures = 0

    @property
    def all_failed(self) -> bool:
        """Whether every node has failed once more, so that it is time to wait."""
        return self._failures % len(self._known) == 0

    @property
    def place(self) -> str:
        """Where they are, without who we are: fit for logs."""
        return ", ".join(Node(url).place for url in self._known)

    def _read(self) -> tuple[str, ...]:
        return split_urls(self._urls() if callable(self._urls) else self._urls)


def split_urls(urls: str) -> tuple[str, ...]:
    """Take the addresses of a broker apart.

    Args:
        urls: one, or several separated by commas.

    Returns:
        Each alone; at least one.

    Raises:
        ConfigurationError: one is no AMQP address; the message does not repeat it, because it may hold a
            password.
    """
    found = tuple(_BETWEEN.split(urls.strip()))
    if not all(map(_is_address, found)):
        raise ConfigurationError(
            "the broker's address must look like amqp://user:password@host:5672/vhost (or amqps://…); "
            "those of several nodes are separated by commas, each of them complete"
        )
    return found


@asynccontextmanager
async def connection_to_any(urls: str, *, name: str) -> AsyncIterator[AbstractConnection]:
    """Open a connection to the first node that answers, for as long as the context lasts.

    Args:
        urls: of the nodes.
        name: what the broker's operators see as the connection's name.

    Raises:
        BrokerLost: none could be reached; why the last one could not.
        ConfigurationError: an address cannot be used.
    """
    nodes = Nodes(urls)
    async with AsyncExitStack() as stack:
        while True:
            node = nodes.next()
            try:
                connection = await stack.enter_async_context(
                    broker_connection(node.url, name=name, connect_seconds=node.connect_seconds)
                )
                break
            except BrokerLost:
                nodes.failed()
                if nodes.all_failed:
                    raise
        yield connection


def _is_address(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and (parts.port or 1) > 0
    return False
