"""Exchange and queues as they are found on a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiormq
import pytest

from meter.consumers import declare_topology
from meter.errors import ConfigurationError

if TYPE_CHECKING:
    from pamqp.common import FieldTable
    from tests.private_servers import Broker

MADE_ELSEWHERE: list[FieldTable] = [
    {"x-queue-type": "quorum", "x-delivery-limit": 20},
    {"x-queue-type": "quorum"},
    {"x-queue-type": "quorum", "x-delivery-limit": 2_147_483_647, "x-max-length": 10},
    {},
]


@pytest.mark.parametrize("queue", ["meter.usage", "meter.dead"])
@pytest.mark.parametrize("arguments", MADE_ELSEWHERE)
async def test_a_queue_that_would_drop_messages_is_refused_in_one_sentence(
    broker: Broker, queue: str, arguments: FieldTable
) -> None:
    async with aiormq.connect(broker.operator_url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(queue, durable=True, arguments=arguments)
        with pytest.raises(ConfigurationError) as refused:
            await declare_topology(connection)
    said = str(refused.value)
    assert said.startswith(f'the queue "{queue}" was not made by meter and is not as it must be; delete it')
    assert "inequivalent arg" in said
    assert "\n" not in said


async def test_a_topology_that_is_right_is_left_alone_by_everyone(broker: Broker) -> None:
    async with aiormq.connect(broker.operator_url) as connection:
        await declare_topology(connection)
    first = await _made(broker)
    for url in (broker.operator_url, broker.worker_url):
        async with aiormq.connect(url) as connection:
            await declare_topology(connection)
    assert {name for name, _, _ in first} == {"meter.usage", "meter.dead"}
    assert await _made(broker) == first


async def _made(broker: Broker) -> list[tuple[str, str, dict[str, object]]]:
    """The queues there are, with their types and arguments."""
    answer = await broker.api.get(f"queues/{broker.vhost}")
    return [(queue["name"], queue["type"], queue["arguments"]) for queue in answer.raise_for_status().json()]
