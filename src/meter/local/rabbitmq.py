"""A private RabbitMQ node on loopback, with its state in one folder."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

from meter.errors import ConfigurationError
from meter.local.account import make_open_folder, make_private_folder, write_private
from meter.local.child import Child, Command, ServerNotStarted
from meter.local.machine import LOOPBACK, PortBook
from meter.local.programs import run_program
from meter.local.rabbitmq_environment import node_environment
from meter.local.rabbitmq_files import PLUGINS, USERS, VHOST, definitions_file, plugins_file, settings_file
from meter.local.rabbitmq_home import make_slim_home
from meter.local.rabbitmq_member import ALONE, Acquaintances

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meter.local.rabbitmq_files import BrokerUser
    from meter.local.rabbitmq_member import Member
    from meter.local.rabbitmq_source import RabbitBinaries

_MANAGEMENT_PLUGIN = "rabbitmq_management"
#: Recovering queues after a crash can take a while.
_READY_SECONDS = 120.0
_POLL_SECONDS = 0.05
_EVALUATE_SECONDS = 5.0
#: A quorum queue whose node was killed within seconds of its making waits for an election that nobody calls
#: (rabbitmq/rabbitmq-server issue 10070). Alone, a node always wins; a queue with a leader ignores the call.
_ELECT_LEADERS = (
    "[ra:trigger_election({Name, node()}) || {Name, _} <- ra_directory:list_registered(quorum_queues)]."
)
#: On its way out this handler asks the one who waits for it to end, which holds up every stop for 5 s.
_DETACH_STATISTICS = "gen_event:delete_handler(rabbit_event, rabbit_mgmt_db_handler, [])."
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class RabbitServer:
    """A RabbitMQ node of meter's own, with its own port mapper, cookie, plugins and users."""

    def __init__(
        self,
        folder: Path,
        binaries: RabbitBinaries,
        *,
        management: bool = False,
        member: Member | None = None,
    ) -> None:
        """Name the node; nothing is started yet.

        Args:
            folder: everything it keeps; made when absent. The account of the servers must be able to pass
                through its parents.
            binaries: what to run.
            management: also offer RabbitMQ's HTTP interface, on a loopback port.
            member: what it is in a cluster; it is alone where None.
        """
        self.folder = folder
        self.ports: dict[str, int] = {}
        self._port_book = PortBook(folder / "ports.json")
        self._binaries = binaries
        self._management = management
        self._member = member
        self._name = ALONE if member is None else member.name
        self._acquaintances = Acquaintances()
        self._node_folder = folder / "node"
        self._epmd: Child | None = None
        self._node: Child | None = None

    @property
    def child(self) -> Child:
        """The running server."""
        return self.running_child()

    def running_child(self) -> Child:
        """The child that runs at the moment; another after a restart."""
        assert self._node is not None  # noqa: S101 - asked for after start only
        return self._node

    def url(self, user: BrokerUser, vhost: str = VHOST) -> str:
        """The AMQP address for a user; contains the password."""
        password = quote(self.passwords()[user.name], safe="")
        return f"amqp://{user.name}:{password}@{LOOPBACK}:{self.ports['amqp']}/{quote(vhost, safe='')}"

    def passwords(self) -> dict[str, str]:
        """The users' passwords, made at the first start at which there is such a user."""
        if self._member is not None:
            return dict(self._member.passwords)
        file = self.folder / "passwords.json"
        found: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
        new = {user.name: secrets.token_urlsafe(24) for user in USERS if user.name not in found}
        if new:
            found |= new
            write_private(file, json.dumps(found))
        return found

    def assign_ports(self) -> Mapping[str, int]:
        """Choose the loopback ports of the node, once; returns them by what they are for."""
        if not self.ports:
            make_open_folder(self.folder)
            names = ["amqp", "prometheus", "dist", "epmd", *(["management"] if self._management else [])]
            self.ports = self._port_book.assign(names)
        return self.ports

    async def start(self) -> None:
        """Start the node and wait until it speaks AMQP.

        Raises:
            ConfigurationError: the folder has a name that RabbitMQ's scripts cannot take.
            ServerNotStarted: the node ended or did not answer in time; the message ends with its own words.
        """
        server = self._write_files()
        environment = self._environment()
        self._node = Child(
            Command(
                name="rabbitmq",
                folder=self.folder,
                arguments=[str(server)],
                environment=environment,
                demote=True,
            )
        )
        # The node would start a port mapper that outlives it; with one running already it does not.
        self._epmd = Child(
            Command(
                name="epmd",
                folder=self.folder,
                arguments=[str(self._binaries.epmd)],
                environment=environment,
                grace_seconds=1.0,
                demote=True,
            )
        )
        try:
            await self._epmd.start()
            await self._answers("epmd", b"\x00\x01n", self._epmd)
            if self._member is not None:
                await self._acquaintances.introduce(self._member.neighbours, self.ports["epmd"])
            await self._node.start()
            await self.answers()
            if self._member is None:
                await self.evaluate(_ELECT_LEADERS)
        except BaseException:
            await self.stop()
            raise

    async def restart(self) -> None:
        """Start again on the same ports, running or not.

        Raises:
            ServerNotStarted: as of :meth:`start`.
        """
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        """Stop the node and its port mapper and wait until both have ended."""
        await self.evaluate(_DETACH_STATISTICS)
        self._acquaintances.forget()
        for child in (self._node, self._epmd):
            if child is not None:
                await child.stop()

    async def evaluate(self, expression: str) -> str:
        """Evaluate an Erlang expression in the node.

        Args:
            expression: ends with a full stop.

        Returns:
            What it came to, as Erlang writes it; nothing where it failed, which is a small loss and changes
            nothing, or where the node does not run.
        """
        if self._node is None or not self._node.running:
            return ""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_EVALUATE_SECONDS):
                ended = await run_program(
                    self._binaries.epmd.with_name("erl_call"),
                    *("-sname", self._name, "-e"),
                    environment=self._environment(),
                    demote=True,
                    said=f"{expression}\n",
                )
                return "\n".join(ended.lines)
        return ""

    def _write_files(self) -> Path:
        if any(letter.isspace() for letter in f"{self.folder}{self._binaries.server}"):
            raise ConfigurationError(
                f"RabbitMQ's scripts do not run from a folder with a space in its name ({self.folder}); "
                "set METER_STATE_DIR and METER_CACHE_DIR to others"
            )
        make_open_folder(self.folder)
        make_private_folder(self._node_folder)
        plugins = [*PLUGINS, _MANAGEMENT_PLUGIN] if self._management else [*PLUGINS]
        self.assign_ports()
        definitions = self._node_folder / "definitions.json"
        write_private(definitions, definitions_file(self.passwords()), for_server=True)
        clustered = [] if self._member is None else self._member.settings()
        settings = settings_file(self.ports, str(definitions), clustered)
        write_private(self._node_folder / "rabbitmq.conf", settings, for_server=True)
        write_private(self._node_folder / "enabled_plugins", plugins_file(plugins), for_server=True)
        cookie = self._node_folder / ".erlang.cookie"
        if not cookie.exists():
            secret = secrets.token_hex(20) if self._member is None else self._member.cookie
            write_private(cookie, secret, for_server=True)
            cookie.chmod(0o400)
        return make_slim_home(self._binaries.server, plugins, self.folder / "home")

    def _environment(self) -> Mapping[str, str]:
        return node_environment(self._node_folder, self._name, self.ports, self._binaries.environment)

    async def answers(self) -> None:
        """Wait until the running node speaks AMQP.

        Raises:
            ServerNotStarted: it ended or did not answer in time; the message ends with its own words.
        """
        await self._answers("amqp", _PROTOCOL_HEADER, self.child)

    async def _answers(self, port: str, greeting: bytes, child: Child) -> None:
        """Wait until something answers a greeting on a port."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and child.running:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(LOOPBACK, self.ports[port])
                try:
                    writer.write(greeting)
                    await writer.drain()
                    async with asyncio.timeout(5):
                        if await reader.read(1):
                            return
                finally:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()
            await asyncio.sleep(_POLL_SECONDS)
        raise ServerNotStarted(f"RabbitMQ did not start: {child.complaint()}")
