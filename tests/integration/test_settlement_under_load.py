"""Many workers on few organizations: each event is settled once, and nobody stands in the way for good."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
from tests.balances import WRONG_BALANCES
from tests.settlement_batches import Client, Settle, SettleByWorker
from tests.settlement_events import Event, Void

from meter.db.clockwork import Clockwork
from meter.db.pool import open_pool
from meter.db.settlement import Settlement
from meter.events import new_event_id

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

ORGANIZATIONS = [f"org-{number}" for number in range(6)]
WORKERS = 5
BATCHES_EACH = 60
DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


def batches(draw: random.Random) -> list[list[Event | Void]]:
    """Batches of what was published once, in the order of nobody: each comes about three times.

    Every eighth event is taken back, every sixteenth by two.
    """
    usage = [
        Event(
            draw.choice(ORGANIZATIONS),
            new_event_id(),
            draw.choice("uvw"),
            "llm",
            draw.randint(0, 5) * 1_000_000,
            given=True,
        )
        for _ in range(BATCHES_EACH * WORKERS * 8)
    ]
    taken_back = usage[::8] + usage[::16]
    voids = [Void(event.org_id, new_event_id(), event.key) for event in taken_back]
    delivered = [*usage, *voids] * 3
    draw.shuffle(delivered)
    size = len(delivered) // (BATCHES_EACH * WORKERS)
    cut = [delivered[start : start + size] for start in range(0, len(delivered), size)]
    # Here and there one that has another content under the same key.
    for batch in cut[::10]:
        first = batch[0]
        batch[0] = (
            replace(first, reason="changed")
            if isinstance(first, Void)
            else replace(first, request_id="changed")
        )
    return cut


async def test_every_event_is_settled_once_and_no_worker_deadlocks(database: FreshDatabase) -> None:
    """Credits run out, come in, and limits begin anew all the while."""
    draw = random.Random(11)
    owner = await asyncpg.connect(database.dsn)
    for org_id in ORGANIZATIONS:
        await owner.execute("select create_organization($1)", org_id)
        await owner.execute("select set_pool_terms($1, false, true, 50)", org_id)
        await owner.execute("select add_credits_to_pool($1, 300)", org_id)
        await owner.execute(
            "select allocate_credits_to_user($1, 'u', 200, p_reset_period => 'daily')", org_id
        )
    before = await owner.fetchval(DEADLOCKS)
    pool = await open_pool(database.dsn, "meter_worker", max_connections=WORKERS)
    delivered = batches(draw)
    share = len(delivered) // WORKERS

    async def work(number: int) -> list[tuple[Event | Void, tuple[str, str | None, int]]]:
        # A gateway of its own, as each worker process has.
        client = Client(owner, Settlement(pool))
        answered: list[tuple[Event | Void, tuple[str, str | None, int]]] = []
        for batch in delivered[number * share : (number + 1) * share]:
            answers = await SettleByWorker(tuple(batch)).on_database(client)
            answered += list(zip(batch, answers, strict=True))
        return answered

    async def keep_books() -> None:
        for org_id in ORGANIZATIONS * 4:
            await owner.execute("select add_credits_to_pool($1, 150)", org_id)
            await owner.execute(
                "update user_credit_allocations set next_reset_date = now() where org_id = $1", org_id
            )
            await owner.execute("select reset_allocations()")

    async with asyncio.TaskGroup() as running:
        workers = [running.create_task(work(number)) for number in range(WORKERS)]
        running.create_task(keep_books())
    answered = [each for worker in workers for each in worker.result()]
    while await Clockwork(pool).fund_waiting() is not None:
        pass
    await pool.close()

    await owner.execute("select pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
    assert await owner.fetchval(DEADLOCKS) == before
    assert await owner.fetch(WRONG_BALANCES, ORGANIZATIONS) == []
    # Each key was new exactly once, and the ledger has what the one who wrote it was told.
    recorded = [(event, answer) for event, answer in answered if answer[0] not in {"duplicate", "conflict"}]
    keys = Counter((event.org_id, event.key) for event, _ in answered)
    assert {(event.org_id, event.key) for event, _ in recorded} == keys.keys()
    assert len(recorded) == len(keys)
    ledger = await owner.fetch("select * from credit_usage_attribution where entry = 0")
    assert {
        (row["org_id"], str(row["event_key"])): (
            row["outcome"],
            row["reason"],
            row["credits_used"] * 1_000_000,
        )
        for row in ledger
    } == {(event.org_id, event.key): answer for event, answer in recorded}
    # A duplicate has the content of the first, a conflict another.
    first = {(event.org_id, event.key): event.content for event, _ in recorded}
    assert all(
        (answer[0] == "duplicate") == (first[event.org_id, event.key] == event.content)
        for event, answer in answered
        if answer[0] in {"duplicate", "conflict"}
    )
    # Whoever came first: what a void names is reversed, once.
    assert await owner.fetchval("select count(*) from pending_voids") == 0
    reversed_events = await owner.fetch(
        """
        select event_key, count(counterpart_key) as times, sum(credits_used) as credits
        from credit_usage_attribution where outcome <> 'void'
        group by event_key having count(counterpart_key) > 0
        """
    )
    assert {str(row["event_key"]) for row in reversed_events} == {
        event.target for event, _ in recorded if isinstance(event, Void)
    }
    assert {(row["times"], row["credits"]) for row in reversed_events} == {(1, 0)}
    await owner.close()


async def test_a_batch_that_writes_nothing_agrees_with_the_batch_that_it_waited_for(
    database: FreshDatabase,
) -> None:
    """Both hold the same two events; the later one came when one of them had become too expensive."""
    first, second = await asyncpg.connect(database.dsn), await asyncpg.connect(database.dsn)
    await first.execute("select create_organization('acme'), add_credits_to_pool('acme', 300)")
    cheap = Event("acme", new_event_id(), "u", "llm", 0)
    repriced = Event("acme", new_event_id(), "u", "costs-2000000", 2_000_000)
    pool = await open_pool(database.dsn, "meter_worker", max_connections=1)
    client, later = (Client(connection, Settlement(pool)) for connection in (first, second))
    async with first.transaction():
        await Settle((cheap, repriced)).on_database(client)
        overflown = replace(repriced, credits=None, refusal="amount_overflow")
        waiting = asyncio.create_task(Settle((cheap, overflown)).on_database(later))
        async with asyncio.timeout(30):
            while not await first.fetchval("select exists (select 1 from pg_locks where not granted)"):
                pass
    assert await waiting == [("duplicate", None, 0), ("duplicate", None, 0)]
    await pool.close()
    await first.close()
    await second.close()
