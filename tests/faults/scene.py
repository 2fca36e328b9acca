"""Where the faults happen: servers of its own, proxies between all parts, processes that are kept."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from aiormq import connect
from tests.broker_cluster import running_cluster
from tests.faults.accepted import count_accepted, read_accepted
from tests.faults.books import Books
from tests.faults.cast import clocks_of, service, worker
from tests.faults.readiness import Readiness
from tests.private_servers import throwaway_folder
from tests.small_disk import DATA, LOG, postgres_on_small_disks
from tests.standby import standby_of
from tests.tcp_proxy import TcpProxy, tcp_proxy

from meter.consumers import declare_topology
from meter.db.migrate import migrate
from meter.local.logins import make_logins
from meter.local.machine import LOOPBACK, PortBook
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.local.rabbitmq import RabbitServer
from meter.local.rabbitmq_files import OPERATOR, PUBLISHER, WORKER
from meter.local.rabbitmq_source import find_rabbitmq
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path
    from uuid import UUID

    from tests.broker_cluster import BrokerCluster
    from tests.faults.kept import Kept
    from tests.shifted_clock import ShiftedClock
    from tests.small_disk import SmallDisk
    from tests.standby import Pair

    from meter.local.rabbitmq_files import BrokerUser

#: What there is to break: one broker and one database with everything around them, or a broker of several
#: nodes, or a database with a standby, or the disks of one.
Stage = Literal["parts", "cluster", "standby", "disks"]

WORKERS = 2
#: In memory; a run of fifty thousand events takes half of it.
_DISKS = {DATA: "768m", LOG: "224m"}


@dataclass(frozen=True)
class Scene:
    """Everything there is to break.

    Attributes:
        folder: of everything.
        postgres: the database server.
        rabbitmq: the broker.
        publishing: between services and broker.
        consuming: between workers and broker.
        settling: between workers and database.
        workers: two of them.
        worker_ports: where each serves its health and metrics.
        services: by number; the ids of their events bear it.
        books: the database, looked at directly.
        readiness: told what is away from workers.
        cluster: the nodes of the broker where there are several; ``rabbitmq`` is the first, and the only one
            behind proxies.
        pair: the servers of the database where there is a standby, both without a proxy; ``postgres`` is the
            one that was the primary at first.
        clocks: of the workers, in order, where they can be set.
        disks: of the database, by what is on each, where they can be filled.
    """

    folder: Path
    postgres: PostgresServer
    rabbitmq: RabbitServer
    publishing: TcpProxy
    consuming: TcpProxy
    settling: TcpProxy
    workers: list[Kept]
    worker_ports: list[int]
    services: list[Kept]
    books: Books
    readiness: Readiness
    cluster: BrokerCluster | None = None
    pair: Pair | None = None
    clocks: Sequence[ShiftedClock] = ()
    disks: Mapping[str, SmallDisk] = field(default_factory=dict)

    @property
    def spool(self) -> Path:
        """The spool of the services that have one."""
        return self.folder / "spool"

    def accepted(self, number: int) -> Path:
        """Where a service notes what it may count on."""
        return self.folder / f"accepted-{number}"

    def again(self, number: int) -> Path:
        """Where a service notes what it sent once more."""
        return self.folder / f"again-{number}"

    def all_accepted(self) -> list[UUID]:
        """Everything that services count on."""
        numbers = range(len(self.services))
        return [key for number in numbers for key in read_accepted(self.accepted(number))]

    @property
    def events(self) -> int:
        """How many events the services count on by now."""
        return sum(count_accepted(self.accepted(number)) for number in range(len(self.services)))

    @property
    def operator_url(self) -> str:
        """The broker's address past every proxy, for who may do everything."""
        return self.rabbitmq.url(OPERATOR)


@asynccontextmanager
async def running_scene(
    *,
    rate: float,
    services: int,
    durable: int,
    logs: Path | None = None,
    stage: Stage = "parts",
    with_clocks: bool = False,
) -> AsyncIterator[Scene]:
    """Set everything up, and take it down.

    Args:
        rate: events a second of all services.
        services: how many.
        durable: how many of them have a spool; they share it, so that one adopts what another left.
        logs: the folder that what everything wrote is kept in.
        stage: what there is to break.
        with_clocks: whether each worker has a clock of its own that can be set.
    """
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(throwaway_folder())
        stack.callback(_keep_logs, folder, logs)
        (rabbitmq, cluster), (postgres, disks) = await asyncio.gather(
            _broker(stack, folder, stage), _database(stack, folder, stage)
        )
        await migrate(postgres.dsn())
        books = Books(postgres)
        await books.set_up()
        async with connect(rabbitmq.url(OPERATOR)) as connection:
            await declare_topology(connection)
        publishing, consuming = [
            await stack.enter_async_context(tcp_proxy(LOOPBACK, rabbitmq.ports["amqp"])) for _ in range(2)
        ]
        settling = await stack.enter_async_context(tcp_proxy(LOOPBACK, postgres.port))
        names = [f"worker-{number}" for number in range(WORKERS)]
        port_book = PortBook(folder / "worker-ports.json")
        ports = port_book.assign(names)
        login = (await make_logins(postgres.dsn()))["meter_worker"]
        standby = standby_of(postgres, folder / "standby")
        pair = await stack.enter_async_context(standby) if stage == "standby" else None
        dsn = pair.dsn(login) if pair else login.replace(f":{postgres.port}/", f":{settling.port}/")
        clocks = await clocks_of(names, folder) if with_clocks else []
        environments: list[dict[str, str]] = [clock.environment for clock in clocks] or [{} for _ in names]
        scene = Scene(
            folder=folder,
            postgres=postgres,
            rabbitmq=rabbitmq,
            publishing=publishing,
            consuming=consuming,
            settling=settling,
            workers=[
                worker(
                    folder,
                    name,
                    port=ports[name],
                    dsn=dsn,
                    url=_behind(WORKER, rabbitmq, cluster, consuming),
                    environment=environment,
                )
                for name, environment in zip(names, environments, strict=True)
            ],
            worker_ports=list(ports.values()),
            services=[],
            books=books,
            readiness=Readiness(ports),
            cluster=cluster,
            pair=pair,
            clocks=clocks,
            disks=disks,
        )
        scene.services.extend(
            _service(scene, number, rate / services, durable=number < durable) for number in range(services)
        )
        for kept in (*scene.workers, *scene.services):
            stack.push_async_callback(kept.stop)
            await kept.start()
        yield scene


async def _broker(
    stack: AsyncExitStack, folder: Path, stage: Stage
) -> tuple[RabbitServer, BrokerCluster | None]:
    cache_dir = load_settings().cache_dir
    if stage == "cluster":
        cluster = await stack.enter_async_context(running_cluster(cache_dir, folder / "cluster"))
        return cluster.nodes[0], cluster
    rabbitmq = RabbitServer(folder / "rabbitmq", await find_rabbitmq(cache_dir, lambda _text, _part: None))
    stack.push_async_callback(rabbitmq.stop)
    await rabbitmq.start()
    return rabbitmq, None


def _keep_logs(folder: Path, logs: Path | None) -> None:
    if logs is not None:
        logs.mkdir(parents=True, exist_ok=True)
        for log in folder.rglob("*.log"):
            shutil.copy(log, logs / "-".join(log.relative_to(folder).parts))


def _service(scene: Scene, number: int, rate: float, *, durable: bool) -> Kept:
    arguments = {
        "url": _behind(PUBLISHER, scene.rabbitmq, scene.cluster, scene.publishing),
        "number": number,
        "rate": rate,
        "accepted": scene.accepted(number),
        "again": scene.again(number),
    } | ({"spool": scene.spool} if durable else {})
    return service(scene.folder, number, arguments)


async def _database(
    stack: AsyncExitStack, folder: Path, stage: Stage
) -> tuple[PostgresServer, Mapping[str, SmallDisk]]:
    if stage == "disks":
        return await stack.enter_async_context(postgres_on_small_disks(folder / "database", _DISKS))
    postgres = PostgresServer(folder / "postgres", await postgres_bin_dir(load_settings().cache_dir))
    stack.push_async_callback(postgres.stop)
    await postgres.start()
    return postgres, {}


def _behind(user: BrokerUser, rabbitmq: RabbitServer, cluster: BrokerCluster | None, proxy: TcpProxy) -> str:
    """The addresses of all nodes for a user, that of the first past a proxy."""
    direct = rabbitmq.url(user) if cluster is None else cluster.url(user)
    return direct.replace(f":{rabbitmq.ports['amqp']}/", f":{proxy.port}/")
