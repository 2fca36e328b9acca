"""A message that kills or hangs its workers ends in the dead letters, alone; nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import Ledger, UsageSide, ledger, running_worker, until

from meter.db.migrate import migrate
from meter.local.postgres import PostgresServer
from meter.local.postgres_binaries import postgres_bin_dir
from meter.settings import load_settings

if TYPE_CHECKING:
    from tests.private_servers import Broker, FreshDatabase
    from tests.running_worker import RunningWorker

MARKER = body("acme", 1_000, data={"request_id": "marker"})
#: Settling the marker never comes back: whoever does it can be killed right in the middle.
HANGS = """
    create function hang() returns trigger language plpgsql as $$
    begin
        if new.request_id = 'marker' then perform pg_sleep(3600); end if;
        return new;
    end $$;
    create trigger hang before insert on credit_usage_attribution for each row execute function hang()
"""
HANGING = """
    select pid from pg_stat_activity
    where datname = current_database() and wait_event = 'PgSleep' and query like '%settle_usage%'
"""


async def _killed_over_the_marker(worker: RunningWorker, books: Ledger) -> None:
    """Kill the worker while it settles the marker, and let the database forget what it was doing."""
    await until(lambda: books.connection.fetch(HANGING), bool)
    await worker.kill()
    await books.connection.execute(f"select pg_terminate_backend(pid) from ({HANGING}) hanging")
    await until(lambda: books.connection.fetch(HANGING), lambda hanging: not hanging)


async def _is_handled_again(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> bool:
    """Kill one more worker over the marker, unless that is a dead letter by now."""

    async def seen() -> tuple[bool, bool]:
        hanging = await books.connection.fetch(HANGING)
        return bool(hanging), await services.ready("meter.dead") > 0

    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1) as worker:
        _, is_dead = await until(seen, any)
        if is_dead:
            await until(lambda: worker.metric('meter_dead_letters_total{reason="poison"}'), lambda n: n == 1)
            await worker.stop()
            return False
        await _killed_over_the_marker(worker, books)
    return True


async def test_a_message_that_kills_its_workers_is_a_dead_letter_and_its_neighbours_are_charged(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await books.connection.execute(HANGS)
    for number in range(25):
        await services.publish_events([body("acme", number)])
    await services.publish_events([MARKER])
    await services.publish_events(body("acme", number) for number in range(25, 50))
    await services.publish_batch(body("acme", number) for number in range(50, 150))
    # Once beside everything, once among the suspects, then three times alone; more where a kill comes too
    # late to tell.
    kills = 0
    while await _is_handled_again(database, broker, books, services):
        kills += 1
        assert kills < 12
    assert kills >= 5
    async with running_worker(database.dsn, broker.worker_url) as worker:
        (letter,) = await services.dead_letters(1)
        assert await books.settled(150) == {"charged": 150}
        # A replay begins anew: nothing is left of the note.
        await until(
            lambda: books.connection.fetchval("select count(*) from suspect_messages"), lambda n: n == 0
        )
        assert await worker.stop() < 10
    assert letter.body == MARKER
    properties = letter.header.properties
    assert properties.headers["meter-reason"] == "poison"
    assert properties.headers["meter-part"] == "message"
    assert properties.headers["meter-attempts"] == kills + 1
    assert properties.content_type == "application/cloudevents+json"
    assert await services.ready("meter.usage") == 0
    used = await books.connection.fetchval("select used_credits from organization_credit_pools")
    assert used == 150 * 10


async def test_however_often_workers_die_during_an_outage_nothing_becomes_poison(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await books.connection.execute("alter table credit_usage_attribution rename to taken_away")
    await services.publish_events(body("acme", number) for number in range(20))
    # More often than it takes to be a suspect, and then to be poison.
    for _ in range(6):
        async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1) as worker:
            await worker.says("the database does not settle, trying again")
            await worker.kill()
    await books.connection.execute("alter table taken_away rename to credit_usage_attribution")
    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1):
        assert await books.settled(20) == {"charged": 20}
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 0)
    assert await services.ready("meter.dead") == 0
    assert await books.connection.fetchval("select count(*) from suspect_messages") == 0


async def test_a_worker_that_dies_together_with_the_database_says_nothing_about_its_message(
    broker: Broker, services: UsageSide
) -> None:
    with throwaway_folder() as folder:
        server = PostgresServer(folder / "postgres", await postgres_bin_dir(load_settings().cache_dir))
        await server.start()
        try:
            await migrate(server.dsn())
            async with ledger(server.dsn()) as books:
                await books.add_organization()
                await books.connection.execute(HANGS)
            await services.publish_events([MARKER])
            # Not as a suspect at first, and then twice as one: the second finds what the first left behind.
            for _ in range(3):
                async with running_worker(
                    server.dsn(), broker.worker_url, suspect_after_deliveries=1
                ) as worker:
                    async with ledger(server.dsn()) as books:
                        await until(lambda: books.connection.fetch(HANGING), bool)
                    worker.process.kill()
                    await server.stop()
                await server.start()
            async with ledger(server.dsn()) as books:
                noted = await books.connection.fetchrow("select count(*), max(deaths) from suspect_messages")
                assert tuple(noted) == (1, 0)
                await books.connection.execute("drop trigger hang on credit_usage_attribution")
                async with running_worker(server.dsn(), broker.worker_url):
                    assert await books.settled(1) == {"charged": 1}
                    await until(lambda: services.ready("meter.usage"), lambda ready: ready == 0)
            assert await services.ready("meter.dead") == 0
        finally:
            await server.stop()


async def test_a_worker_that_is_killed_while_it_waits_for_the_database_says_nothing_about_its_message(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await books.connection.execute(HANGS)
    await services.publish_events([MARKER])

    async def deaths() -> int | None:
        return await books.connection.fetchval("select max(deaths) from suspect_messages")

    async with running_worker(database.dsn, broker.worker_url) as worker:
        await _killed_over_the_marker(worker, books)
    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1) as worker:
        await until(deaths, lambda noted: noted == 0)
        await until(lambda: books.connection.fetch(HANGING), bool)
        # It lives, and takes its note back although the database still keeps it waiting.
        await until(deaths, lambda noted: noted is None)
        await _killed_over_the_marker(worker, books)
    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1):
        assert await until(deaths, lambda noted: noted is not None) == 0


async def test_a_suspect_that_cannot_be_settled_is_a_dead_letter_with_its_own_reason(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await books.connection.execute("alter table credit_usage_attribution rename to taken_away")
    await services.publish_batch([body("acme", 1), b'{"broken": true}', body("nobody", 2)])
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("the database does not settle, trying again")
        await worker.kill()
    await books.connection.execute("alter table taken_away rename to credit_usage_attribution")
    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1):
        letters = await services.dead_letters(2)
        assert await books.settled(1) == {"charged": 1}
    reasons = {letter.header.properties.headers["meter-reason"] for letter in letters}
    assert reasons == {"invalid_event", "unknown_organization"}
    assert {letter.header.properties.headers["meter-attempts"] for letter in letters} == {2}


async def test_innocent_suspects_are_settled_by_the_hundred(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    await books.connection.execute("alter table credit_usage_attribution rename to taken_away")
    await services.publish_events(body("acme", number) for number in range(1_000))
    async with running_worker(database.dsn, broker.worker_url) as worker:
        await worker.says("the database does not settle, trying again")
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 0)
        await worker.kill()
    await books.connection.execute("alter table taken_away rename to credit_usage_attribution")
    await books.connection.execute("""
        create table notes_taken (moment timestamptz default clock_timestamp());
        create function count_note() returns trigger security definer language plpgsql as $$
        begin
            insert into notes_taken default values;
            return null;
        end $$;
        create trigger counting after insert on suspect_messages
        for each statement execute function count_note()
    """)
    async with running_worker(database.dsn, broker.worker_url, suspect_after_deliveries=1):
        assert await books.settled(1_000) == {"charged": 1_000}
        await until(lambda: services.ready("meter.usage"), lambda ready: ready == 0)
        left = "select count(*) from suspect_messages"
        await until(lambda: books.connection.fetchval(left), lambda count: count == 0)
    # Deliveries come in several reads, and a group is of what is there; one by one it would be a thousand.
    assert 10 <= await books.connection.fetchval("select count(*) from notes_taken") < 100
