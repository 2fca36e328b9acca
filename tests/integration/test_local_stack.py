"""``meter up`` as a person runs it: started, asked, disturbed, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest
from tests.private_servers import processes_in, throwaway_folder
from tests.running_stack import RunningStack, start

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[RunningStack]:
    with throwaway_folder() as parent:
        running = await start(parent / "state")
        await running.says(r"curl .*")
        yield running
        await running.stop()


async def test_the_curl_it_prints_shows_the_seeded_pool(stack: RunningStack) -> None:
    token = (await stack.says(r"METER_TOKEN=(\S+)"))[1]
    url = (await stack.says(r"curl .* (http\S+)"))[1]
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
        pool = (await client.get(url)).raise_for_status().json()
    assert pool["org_id"] == "acme"
    assert pool["total_credits"] == "1000000"


async def test_everything_it_names_answers(stack: RunningStack) -> None:
    await stack.says(r"curl ")
    urls = re.findall(r"^  (?:[a-zA-Z ]{18}) (http\S+)$", stack.said, re.MULTILINE)
    assert len(urls) >= 11
    # The APIs' own addresses are only prefixes.
    prefixes = {await stack.api_url(), await stack.admin_url()}
    async with httpx.AsyncClient() as client:
        answers = {url: (await client.get(url)).status_code for url in urls if url not in prefixes}
    assert set(answers.values()) == {200}, answers


async def test_a_second_one_on_the_same_folder_says_so_and_fails(stack: RunningStack) -> None:
    second = await start(stack.folder)
    said = await second.ends()
    assert second.process.returncode == 1
    assert "already running" in said
    assert said.strip().count("\n") == 0


async def test_a_killed_worker_comes_back(stack: RunningStack) -> None:
    pid_file = stack.folder / "logs" / "worker.pid"
    noted = json.loads(await asyncio.to_thread(pid_file.read_text))
    os.kill(noted[0][0], signal.SIGKILL)
    await stack.says(r"worker ended \(code 137\)")
    await stack.says(r"worker is back")
    again = json.loads(await asyncio.to_thread(pid_file.read_text))
    assert again[0][0] != noted[0][0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_it_stops_in_time_starts_again_in_time_and_leaves_nothing(number: signal.Signals) -> None:
    with throwaway_folder() as parent:
        folder = parent / "state"
        first = await start(folder)
        token = (await first.says(r"METER_TOKEN=(\S+)"))[1]
        await first.says(r"curl .*")
        assert "everything has stopped" in await first.stop(number)
        assert first.process.returncode == 0
        assert processes_in(folder) == []
        began = time.monotonic()
        second = await start(folder)
        url = (await second.says(r"curl .* (http\S+)"))[1]
        took = time.monotonic() - began
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:
            assert (await client.get(url)).json()["total_credits"] == "1000000"
        await second.stop(number)
        # Ten where nothing else runs; here other tests do.
        assert took < 30


async def test_a_killed_one_leaves_nothing_running_and_the_next_one_starts() -> None:
    with throwaway_folder() as parent:
        folder = parent / "state"
        first = await start(folder)
        await first.says(r"curl .*")
        left = processes_in(folder)
        first.process.kill()
        await first.ends()
        _, alive = await asyncio.to_thread(psutil.wait_procs, left, 30)
        assert alive == []
        second = await start(folder, "--fresh")
        await second.says(r"curl .*")
        await second.stop()
        assert processes_in(folder) == []


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        (
            "METER_DATABASE_URL",
            "postgresql://someone:s3cret@127.0.0.1:1/meter",
            "METER_DATABASE_URL names a database of yours",
        ),
        ("METER_API_HOST", "0.0.0.0", "METER_API_HOST lets strangers reach the API"),
        ("METER_ADMIN_HOST", "::", "METER_ADMIN_HOST lets strangers reach the control plane"),
    ],
)
async def test_a_database_or_an_address_of_yours_needs_an_issuer_of_yours_before_anything_starts(
    setting: str, value: str, why: str
) -> None:
    with throwaway_folder() as parent:
        running = await start(parent / "state", **{setting: value})
        said = await running.ends()
        assert running.process.returncode == 1
        assert said.strip() == (
            f"Error: {why}, so development tokens are not trusted: "
            "set METER_TOKEN_ISSUER to yours, and METER_TOKEN_JWKS_URL or METER_TOKEN_JWKS_FILE where it "
            "does not say itself where its keys are"
        )
        assert not (parent / "state" / "postgres").exists()


async def test_addresses_of_other_servers_replace_the_embedded_ones_and_are_not_repeated() -> None:
    with throwaway_folder() as parent:
        # Nothing can listen on port 1 without being root's.
        running = await start(
            parent / "state",
            METER_DATABASE_URL="postgresql://someone:s3cret@127.0.0.1:1/meter",
            METER_AMQP_URL="amqp://someone:s3cret@127.0.0.1:1/meter",
            METER_TOKEN_ISSUER="https://issuer.example",
            METER_TOKEN_JWKS_FILE=str(parent / "jwks.json"),
        )
        said = await running.ends()
        assert running.process.returncode == 1
        assert "s3cret" not in said
        assert "Traceback" not in said
        assert re.search("the server of METER_(DATABASE|AMQP)_URL cannot be used", said)
        assert not (parent / "state" / "postgres").exists()
        assert not (parent / "state" / "rabbitmq").exists()
