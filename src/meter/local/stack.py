"""``meter up``: everything on one machine, kept running until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from meter.errors import ConfigurationError
from meter.local.account import refuse_closed_folder
from meter.local.address_book import AddressBook, published_addresses
from meter.local.addresses import Addresses
from meter.local.display import Display
from meter.local.issuer import ALGORITHM, ISSUER, DevelopmentIssuer
from meter.local.machine import LOOPBACK, PortBook
from meter.local.ports import service_ports, told_to_all
from meter.local.seed import USER, seed
from meter.local.servers import Servers
from meter.local.services import Service, service_environment
from meter.local.state_folder import empty_state_folder, held_state_folder
from meter.local.supervisor import Part, keep_running
from meter.local.welcome import welcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from rich.console import Console

    from meter.local.addresses import DatabaseAddresses
    from meter.settings import Settings

_LOOPBACK_HOSTS = (LOOPBACK, "::1", "localhost")


async def up(
    settings: Settings,
    console: Console,
    *,
    fresh: bool = False,
    demo: Callable[[Addresses], Awaitable[None]] | None = None,
) -> None:
    """Start the stack, say where it is and keep it running until SIGINT or SIGTERM.

    Args:
        settings: what to run and where.
        console: where to show progress and addresses.
        fresh: begin with an empty state folder.
        demo: called once everything runs.

    Raises:
        ConfigurationError: a setting cannot be used.
        StackAlreadyRunning: another stack runs on the same state folder.
        MeterError: something could not be started; everything else was stopped again.
    """
    display = Display(console)
    _refuse_strangers_without_issuer(settings)
    if settings.database_url is None or settings.amqp_url is None:
        refuse_closed_folder(settings.state_dir, "METER_STATE_DIR")
        refuse_closed_folder(settings.cache_dir, "METER_CACHE_DIR")
    with held_state_folder(settings.state_dir):
        if fresh:
            await asyncio.to_thread(empty_state_folder, settings.state_dir)
        running = asyncio.create_task(_run(settings, display, demo))
        with _stopped_by_signals(running):
            try:
                await running
            except asyncio.CancelledError:
                # A signal is the usual end; anything else is not ours to swallow.
                this = asyncio.current_task()
                if this is not None and this.cancelling():
                    raise
            except ExceptionGroup as group:
                raise _first_of(group) from None


def _refuse_strangers_without_issuer(settings: Settings) -> None:
    """Development tokens are for an embedded database on loopback; elsewhere others must issue them."""
    if settings.token_issuer is not None:
        return
    if settings.database_url is not None:
        why = "METER_DATABASE_URL names a database of yours"
    elif settings.api_host not in _LOOPBACK_HOSTS:
        why = "METER_API_HOST lets strangers reach the API"
    elif settings.admin_host not in _LOOPBACK_HOSTS:
        why = "METER_ADMIN_HOST lets strangers reach the control plane"
    else:
        return
    raise ConfigurationError(
        f"{why}, so development tokens are not trusted: set METER_TOKEN_ISSUER to yours, and "
        "METER_TOKEN_JWKS_URL or METER_TOKEN_JWKS_FILE where it does not say itself where its keys are"
    )


async def _run(
    settings: Settings, display: Display, demo: Callable[[Addresses], Awaitable[None]] | None
) -> None:
    stack = _Stack(settings, display)
    try:
        with display.phases():
            addresses = await stack.start()
        beside = AddressBook(addresses.database.admin, addresses.broker.publisher, addresses.broker.replayer)
        with published_addresses(settings.state_dir, beside):
            async with stack.kept_running():
                display.say(welcome(settings, addresses))
                if demo is not None:
                    await demo(addresses)
                    display.say("meter goes on running; stop it with Ctrl-C")
                await asyncio.Event().wait()
    finally:
        display.say("stopping …")
        await stack.stop()
        display.say("everything has stopped")


class _Stack:
    """The parts of a stack in their order: servers first, then meter's own processes."""

    def __init__(self, settings: Settings, display: Display) -> None:
        self._settings = settings
        self._display = display
        self._servers = Servers(settings, display)
        self._services: list[Service] = []
        self._port_book = PortBook(settings.state_dir / "ports.json")

    async def start(self) -> Addresses:
        """Start everything; what only needs the database does not wait for the broker."""
        settings = self._settings
        ports = service_ports(settings, self._port_book)
        async with asyncio.TaskGroup() as starting:
            broker_start = starting.create_task(self._servers.start_broker())
            serving = starting.create_task(self._start_serving(ports))
        broker = broker_start.result()
        database, token = serving.result()
        await self._start_service(
            "worker",
            {"METER_DATABASE_URL": database.worker, "METER_AMQP_URL": broker.worker} | told_to_all(ports),
            (settings.worker_host, ports["worker"]),
        )
        return Addresses(
            database=database,
            broker=broker,
            api_url=f"http://{settings.api_host}:{ports['api']}",
            api_metrics_url=f"http://{settings.api_host}:{ports['api_metrics']}/metrics",
            admin_url=f"http://{settings.admin_host}:{ports['admin']}",
            admin_metrics_url=f"http://{settings.admin_host}:{ports['admin_metrics']}/metrics",
            worker_url=f"http://{settings.worker_host}:{ports['worker']}",
            token=token,
        )

    async def _start_serving(self, ports: dict[str, int]) -> tuple[DatabaseAddresses, str | None]:
        """Start the database and, on it, both APIs; returns the addresses and a development token."""
        database = await self._servers.start_database()
        token, trusted = None, dict[str, str]()
        if self._servers.database_is_embedded:
            await seed(database.admin)
            token, trusted = self._development_token()
        told = {"METER_READ_DATABASE_URL": database.replica or database.reader} | told_to_all(ports) | trusted
        async with asyncio.TaskGroup() as starting:
            for name, address, host in (
                ("api", database.reader, self._settings.api_host),
                ("admin", database.admin, self._settings.admin_host),
            ):
                starting.create_task(
                    self._start_service(name, told | {"METER_DATABASE_URL": address}, (host, ports[name]))
                )
        return database, token

    @contextlib.asynccontextmanager
    async def kept_running(self) -> AsyncIterator[None]:
        """Watch every part while the block runs."""
        parts = [
            *self._servers.parts(),
            *(Part(service.name, service.restart, service.running_child) for service in self._services),
        ]
        watchers = [asyncio.create_task(keep_running(part, self._display.say)) for part in parts]
        try:
            yield
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)

    async def stop(self) -> None:
        """Stop in the opposite order, so that the worker can still settle what it holds."""
        async with asyncio.TaskGroup() as stopping:
            for service in self._services:
                stopping.create_task(service.stop())
        await self._servers.stop()

    async def _start_service(self, name: str, told: dict[str, str], ready_at: tuple[str, int]) -> None:
        with self._display.phase(name, f"{name} is ready"):
            service = Service(
                name, self._settings.state_dir / "logs", service_environment(told), ready_at=ready_at
            )
            self._services.append(service)
            await service.start()

    def _development_token(self) -> tuple[str | None, dict[str, str]]:
        """Trust the development issuer, unless somebody named another or strangers can reach the API."""
        settings = self._settings
        if settings.token_issuer or settings.token_jwks_file or settings.api_host not in _LOOPBACK_HOSTS:
            return None, {}
        issuer = development_issuer(settings)
        issuer.prepare()
        return issuer.issue(USER), {
            "METER_TOKEN_ISSUER": ISSUER,
            "METER_TOKEN_AUDIENCE": settings.token_audience,
            "METER_TOKEN_JWKS_FILE": str(issuer.key_set),
            "METER_TOKEN_ALGORITHMS": ALGORITHM,
            "METER_TOKEN_ROLE_CLAIMS": "roles",
        }


def development_issuer(settings: Settings) -> DevelopmentIssuer:
    """The issuer of the stack on a state folder; also of ``meter token``.

    Args:
        settings: where the state folder is, and whom the tokens are for.
    """
    return DevelopmentIssuer(settings.state_dir / "issuer", settings.token_audience)


@contextlib.contextmanager
def _stopped_by_signals(running: asyncio.Task[None]) -> Iterator[None]:
    """Cancel a task at the first signal; a second one changes nothing, for it would leave servers behind."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not running.cancelling():
            running.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


def _first_of(group: ExceptionGroup) -> Exception:
    """The first failure of a group: others followed from it."""
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, ExceptionGroup) else first
