"""The database fails over to a standby: nothing is lost, and nothing is written to the server of before."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import Ledger, RunningWorker, UsageSide, ledger, running_worker, until
from tests.standby import Pair, fetch, standby_of

from meter.db.migrate import migrate
from meter.db.reconciliation import Reconciliation
from meter.local.logins import make_logins
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import Broker

_KEY = "0190b6a4-0000-7000-8000-000000000000"
_COUNT = "select count(*) from credit_usage_attribution"
#: Commits that wait for the standby; of the clockwork's there are some, too, but none with events of ours.
_WAITING = (
    "select count(*) from pg_stat_activity where application_name = 'meter worker'"
    " and wait_event = 'SyncRep' and query ~ 'settle_usage'"
)
_VOIDS_WAITING = (
    "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and query ~ 'settle_voids'"
)
#: A void that writes nothing; what it is answered may be known to this server only.
_NOTHING_NEW = json.dumps(
    [{"org_id": "nobody", "event_key": _KEY, "target_key": _KEY, "source": "tests", "metadata": {}}]
)
_END_WAITING = _WAITING.replace("count(*)", "pg_terminate_backend(pid)")


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Pair]:
    """A migrated primary with a standby that every commit waits for, before the first failover."""
    with throwaway_folder() as folder:
        primary = PostgresServer(folder / "first", await postgres_bin_dir(load_settings().cache_dir))
        await primary.start()
        try:
            await migrate(primary.dsn())
            async with ledger(primary.dsn()) as books:
                await books.add_organization("acme")
                await books.add_organization("globex")
            async with standby_of(primary, folder / "second") as servers:
                yield servers
        finally:
            await primary.stop()


@pytest.fixture
async def pair(servers: Pair) -> Pair:
    """The servers, whichever is the primary by now, with a standby again; the ledger is not empty."""
    if not await servers.is_followed():
        await servers.follow()
    return servers


async def test_a_failover_under_load_costs_no_event_and_the_former_primary_is_not_written_to(
    pair: Pair, broker: Broker, services: UsageSide
) -> None:
    dsn = pair.dsn((await make_logins(pair.primary.dsn()))["meter_worker"])
    async with running_worker(dsn, broker.worker_url) as worker:
        await worker.says("consuming")
        async with ledger(pair.primary.dsn()) as books:
            before = (await books.outcomes()).get("charged", 0)
            load = asyncio.create_task(_load(services))
            await until(books.outcomes, lambda outcomes: outcomes.get("charged", 0) >= before + 2_000)
            await pair.end_primary(signal.SIGKILL)
        await worker.says("the database does not settle, trying again")
        assert not await worker.is_ready()
        await pair.promote()
        promoted = time.monotonic()
        await worker.says("the database settles again")
        assert time.monotonic() - promoted < 10
        await load
        async with ledger(pair.primary.dsn()) as books:
            assert await books.settled(before + 20_000) == {"charged": before + 20_000}
            # Afterwards a batch may meet a session that is about to be ended.
            said = [line for line in worker.lines if str(line["event"]).startswith("the database")]
            assert len(said) == 2, said
            await _former_primary_is_not_written_to(pair, worker, services, books)
        async with asyncpg.create_pool(pair.primary.dsn(), min_size=1, max_size=1) as pool:
            assert await Reconciliation(pool).differences() == []
        assert await services.ready("meter.dead") == 0
        assert await worker.stop() < 10


async def test_what_no_standby_has_is_not_acknowledged_even_when_it_is_there_already(
    pair: Pair, broker: Broker, services: UsageSide
) -> None:
    async with ledger(pair.primary.dsn()) as books:
        async with running_worker(pair.dsn(), broker.worker_url) as worker:
            before = sum((await books.outcomes()).values())
            await services.publish_batch(body("globex", number) for number in range(10))
            await books.settled(before + 10)
            await pair.standby.stop()
            await services.publish_batch(body("globex", 100 + number) for number in range(10))
            await until(lambda: books.connection.fetchval(_WAITING), bool)
            # Whoever ends a commit that waits makes visible what only this server has.
            await books.connection.execute(_END_WAITING)
            await books.settled(before + 20)
            await until(lambda: books.connection.fetchval(_WAITING), bool)
            await worker.kill()
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 1)
        async with ledger(pair.primary.dsn()) as other:
            voided = asyncio.create_task(other.connection.execute("select settle_voids($1)", _NOTHING_NEW))
            await until(lambda: books.connection.fetchval(_VOIDS_WAITING), lambda waiting: waiting == 1)
            await pair.standby.start()
            await voided
        async with running_worker(pair.dsn(), broker.worker_url) as worker:
            await until(
                lambda: worker.metric('meter_events_total{outcome="duplicate"}'), lambda known: known == 10
            )
            assert await worker.stop() < 10
        assert await services.ready("meter.usage") == 0
        assert await books.settled(before + 20) == {"charged": before + 20}


async def test_a_worker_says_it_is_not_ready_while_commits_wait_for_a_standby_that_is_away(
    pair: Pair, broker: Broker, services: UsageSide
) -> None:
    async with (
        ledger(pair.primary.dsn()) as books,
        running_worker(pair.dsn(), broker.worker_url) as worker,
    ):
        await worker.says("consuming")
        before = sum((await books.outcomes()).values())
        await pair.standby.stop()
        await services.publish_batch(body("globex", 1_000 + number) for number in range(10))
        began = time.monotonic()
        await until(worker.is_ready, lambda ready: not ready)
        assert time.monotonic() - began < 8
        reason = (await worker.get("/readyz")).json()["checks"]["database"]
        assert reason.startswith("the database does not settle: it has given no answer for")
        assert await fetch(pair.primary, _WAITING) == 1
        await pair.standby.start()
        began = time.monotonic()
        await until(worker.is_ready, bool)
        assert time.monotonic() - began < 10
        assert sum((await books.outcomes()).values()) == before + 10
        said = [line["event"] for line in worker.lines if str(line["event"]).startswith("the database")]
        assert said == ["the database does not settle, waiting for it", "the database settles again"]
        # It waited all the time, and nothing was tried again.
        assert await worker.metric("meter_settle_seconds_count") == 1


async def _load(services: UsageSide) -> None:
    for start in range(0, 20_000, 200):
        await services.publish_batch(body("acme", start + number) for number in range(200))


async def _former_primary_is_not_written_to(
    pair: Pair, worker: RunningWorker, services: UsageSide, books: Ledger
) -> None:
    """It is back as a second primary, named first."""
    await pair.bring_back_former()
    settled = (await books.outcomes())["charged"]
    before = await fetch(pair.standby, _COUNT)
    # Who comes again could choose it now.
    await books.connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'meter worker'"
    )
    await services.publish_batch(body("acme", 100_000 + number) for number in range(500))
    assert await books.settled(settled + 500) == {"charged": settled + 500}
    await until(worker.is_ready, bool)
    assert await fetch(pair.standby, _COUNT) == before
