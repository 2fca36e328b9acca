"""A file published twice is the same usage twice, which charges once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.usage_queue import usage_queue

from meter.publisher import Publisher
from meter.publisher.backfill import publish_rows
from meter.publisher.usage_file import inspect_file, read_rows

if TYPE_CHECKING:
    from pathlib import Path

    from tests.private_servers import Broker

EVENT = (
    b'{"specversion":"1.0","type":"meter.usage.v1","id":"e-1","source":"log","subject":"acme",'
    b'"time":"2026-01-01T00:00:00Z","data":{"user_id":"u","service_type":"llm"}}'
)


async def test_a_file_published_twice_has_the_same_keys(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "usage.csv"
    lines = [f"acme,user-{number % 10},llm,2026-01-01T00:00:00Z,{number}" for number in range(3_000)]
    path.write_text("org_id,user_id,service_type,time,metadata.input_tokens\n" + "\n".join(lines))
    seen: list[int] = []
    async with usage_queue(broker.operator_url) as queue:
        for _ in range(2):
            async with Publisher(broker.publisher_url, source="backfill", max_events=500) as sender:
                done = await publish_rows(sender, read_rows(inspect_file(path)), seen.append)
                assert await sender.flush(30) == 0
            assert (done.accepted, done.bad) == (3_000, ())
            assert sender.counters.dropped == 0
        events = await queue.events()
    assert len(events) == 6_000
    assert len({event.key for event in events}) == 3_000
    assert {event.source for event in events} == {inspect_file(path).source}
    assert seen == [*range(2, 3_002)] * 2


async def test_bad_rows_are_collected_and_the_others_arrive(broker: Broker, tmp_path: Path) -> None:
    path = tmp_path / "usage.ndjson"
    good = b'{"org_id":"acme","user_id":"u","service_type":"llm"}'
    reserved = b'{"org_id":"system","user_id":"u","service_type":"llm"}'
    path.write_bytes(b"\n".join([good, b"{", reserved, EVENT, EVENT.replace(b"acme", b"ac me"), good]))
    async with usage_queue(broker.operator_url) as queue:
        async with Publisher(broker.publisher_url, source="backfill") as sender:
            done = await publish_rows(sender, read_rows(inspect_file(path)))
            assert await sender.flush(30) == 0
        events = await queue.events()
    assert done.accepted == 3
    assert [row.line for row in done.bad] == [2, 3, 5]
    assert [event.id for event in events] == ["1", "e-1", "6"]


async def test_a_closed_publisher_refuses_every_row_instead_of_waiting(
    broker: Broker, tmp_path: Path
) -> None:
    path = tmp_path / "usage.ndjson"
    path.write_bytes(EVENT)
    sender = Publisher(broker.publisher_url, source="backfill")
    await sender.close()
    done = await publish_rows(sender, read_rows(inspect_file(path)))
    assert (done.accepted, len(done.bad)) == (0, 1)
