"""The clock of the worker's machine jumps: nothing depends on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.malformed import body
from tests.private_servers import throwaway_folder
from tests.running_worker import Ledger, RunningWorker, UsageSide, running_worker, until
from tests.shifted_clock import shifted_clock

if TYPE_CHECKING:
    from tests.private_servers import Broker, FreshDatabase

_AHEAD_H, _BEHIND_H = 5, -7
_BATCHES, _BATCH = 5, 200
_LAG = "meter_publish_to_commit_seconds_sum"


async def test_a_clock_that_jumps_by_hours_stops_nothing_and_decides_nothing(
    database: FreshDatabase, broker: Broker, books: Ledger, services: UsageSide
) -> None:
    with throwaway_folder() as folder:
        clock = await shifted_clock(folder)
        if clock is None:
            pytest.fail("libfaketime is not among this machine's packages")
        # Impatient in everything, so that a jump would be noticed by whatever looks at the clock.
        patience = {"hang_timeout_s": 5, "give_back_after_s": 5, "settle_timeout_s": 5}
        async with running_worker(
            database.dsn, broker.worker_url, environment=clock.environment, **patience
        ) as worker:
            await worker.says("consuming")
            settled = 0
            for hours in (_AHEAD_H, _BEHIND_H, 0, _AHEAD_H):
                clock.shift(hours)
                settled += await _settle_some(books, services, settled)
            assert await worker.metric(_LAG) > (_AHEAD_H - 1) * 3_600, "the worker did not see the clock jump"
            await _an_hour_ahead_of_the_database_is_refused(worker, services, settled)
            clock.shift(_BEHIND_H)
            await services.publish_events([_at(timedelta(minutes=2), settled)])
            assert await books.settled(settled + 1) == {"charged": settled + 1}
            assert await worker.is_ready()
            said = [line["event"] for line in worker.lines]
            assert said == ["worker started", "consuming", "dead letter"]
            assert await worker.stop() < 10
    off = await books.connection.fetchval(
        "select max(abs(extract(epoch from now() - created_at))) from credit_usage_attribution"
    )
    assert off < 3_600


async def _settle_some(books: Ledger, services: UsageSide, settled: int) -> int:
    for start in range(settled, settled + _BATCHES * _BATCH, _BATCH):
        await services.publish_batch(body("acme", start + number) for number in range(_BATCH))
    await books.settled(settled + _BATCHES * _BATCH)
    return _BATCHES * _BATCH


async def _an_hour_ahead_of_the_database_is_refused(
    worker: RunningWorker, services: UsageSide, number: int
) -> None:
    await services.publish_events([_at(timedelta(hours=1), number + 1)])
    (letter,) = await services.dead_letters(1)
    assert letter.header.properties.headers is not None
    assert letter.header.properties.headers["meter-reason"] == "future_time"
    await until(
        lambda: worker.metric('meter_dead_letters_total{reason="future_time"}'), lambda count: count == 1
    )


def _at(ahead: timedelta, number: int) -> bytes:
    return body("acme", number, time=(datetime.now(UTC) + ahead).isoformat())
