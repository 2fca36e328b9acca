"""``meter up`` and commands with ``METER_DATABASE_URL`` and ``METER_AMQP_URL``: no embedded servers."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from tests.first_day import logs_in
from tests.private_servers import fresh_broker, processes_in, throwaway_folder
from tests.running_stack import Finished, RunningStack, meter, running_stack, start
from tests.running_worker import ledger

from meter.local.issuer import ISSUER, DevelopmentIssuer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from meter.local.postgres import PostgresServer
    from meter.local.rabbitmq import RabbitServer

USAGE = "org_id,user_id,service_type\nglobex,hank,contact_lookup\nglobex,hank,valuation\n"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An empty database and an empty virtual host, as an operator is given them, and a state folder."""

    folder: Path
    dsn: str = field(repr=False)
    amqp_url: str = field(repr=False)

    @property
    def told(self) -> dict[str, str]:
        return {"METER_DATABASE_URL": self.dsn, "METER_AMQP_URL": self.amqp_url}

    @property
    def passwords(self) -> set[str]:
        found = {httpx.URL(address).password for address in self.told.values()}
        assert all(len(password) > 16 for password in found)
        return found

    async def meter(self, *arguments: str) -> Finished:
        return await meter(self.folder, *arguments, **self.told)


@pytest.fixture(scope="module")
async def elsewhere(
    postgres_server: PostgresServer, rabbitmq_server: RabbitServer
) -> AsyncIterator[Elsewhere]:
    name = f"elsewhere_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(postgres_server.dsn("postgres"))
    try:
        await connection.execute(f"create database {name}")
        with throwaway_folder() as parent:
            async with fresh_broker(rabbitmq_server) as broker:
                yield Elsewhere(parent / "state", postgres_server.dsn(name), broker.operator_url)
        await connection.execute(f"drop database {name} with (force)")
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class Migrated:
    """``meter migrate`` on an empty database: before, during and after, and a command that came too early."""

    too_early: Finished
    dry_run: Finished
    first: Finished
    second: Finished
    left: Finished


@pytest.fixture(scope="module")
async def migrated(elsewhere: Elsewhere) -> Migrated:
    too_early = await elsewhere.meter("organizations", "list")
    dry_run = await elsewhere.meter("migrate", "--dry-run", "--json")
    # Two at once, as two machines of one deployment would.
    first, second = await asyncio.gather(elsewhere.meter("migrate"), elsewhere.meter("migrate"))
    left = await elsewhere.meter("migrate", "--dry-run", "--json")
    return Migrated(too_early, dry_run, first, second, left)


@pytest.fixture(scope="module")
def issuer() -> Iterator[DevelopmentIssuer]:
    """Somebody's issuer of tokens; its key is not in the state folder."""
    with throwaway_folder() as folder:
        issuer = DevelopmentIssuer(folder, "meter")
        issuer.prepare()
        yield issuer


@pytest.fixture(scope="module")
async def stack(
    elsewhere: Elsewhere, migrated: Migrated, issuer: DevelopmentIssuer
) -> AsyncIterator[RunningStack]:
    trusted = {"METER_TOKEN_ISSUER": ISSUER, "METER_TOKEN_JWKS_FILE": str(issuer.key_set)}
    async with running_stack(elsewhere.folder, **elsewhere.told, **trusted) as running:
        await running.says("^  state and logs ")
        yield running


def test_migrate_brings_an_empty_database_to_the_schema_once(migrated: Migrated) -> None:
    assert [run.code for run in (migrated.dry_run, migrated.first, migrated.second, migrated.left)] == [0] * 4
    pending = json.loads(migrated.dry_run.out)["pending"]
    assert len(pending) > 1
    applied = "".join(f"applied {name}\n" for name in pending)
    assert {migrated.first.out, migrated.second.out} == {applied, "the schema is current\n"}
    assert json.loads(migrated.left.out) == {"applied": [], "pending": []}


async def test_a_database_that_does_not_answer_is_told_in_a_sentence(elsewhere: Elsewhere) -> None:
    # Nothing can listen on port 1 without being root's.
    closed = {"METER_DATABASE_URL": "postgresql://someone:s3cret@127.0.0.1:1/meter"}
    for command in ("migrate", "organizations list"):
        finished = await meter(elsewhere.folder, *command.split(), **closed)
        assert (finished.code, finished.out) == (1, "")
        assert "the database does not answer" in finished.err
        assert finished.err.strip().count("\n") == 0
        assert "s3cret" not in finished.err


def test_a_command_before_migrate_says_what_to_do(migrated: Migrated) -> None:
    assert (migrated.too_early.code, migrated.too_early.out) == (1, "")
    assert "meter migrate" in migrated.too_early.err
    assert migrated.too_early.err.strip().count("\n") == 0


async def test_no_embedded_server_is_started(stack: RunningStack) -> None:
    async with httpx.AsyncClient() as client:
        ready = await client.get(f"{await stack.api_url()}/readyz")
    assert ready.status_code == 200
    assert not (stack.folder / "postgres").exists()
    assert not (stack.folder / "rabbitmq").exists()
    running = {" ".join(process.cmdline()) for process in processes_in(stack.folder)}
    assert {command.rpartition(" ")[2] for command in running if " -m meter " in command} == {
        "worker",
        "api",
        "admin",
    }
    assert not [command for command in running if "postgres -D" in command or "beam" in command]


async def test_no_password_is_printed_logged_or_shown_among_the_processes(
    stack: RunningStack, elsewhere: Elsewhere
) -> None:
    logs = await asyncio.to_thread(logs_in, stack.folder)
    assert "worker started" in logs["worker.log"]
    commands = [" ".join(process.cmdline()) for process in processes_in(stack.folder)]
    assert "METER_AMQP_URL" in stack.said
    for told in (stack.said, *logs.values(), *commands):
        assert not [password for password in elsewhere.passwords if password in told]


async def test_development_tokens_are_not_to_be_had(stack: RunningStack, elsewhere: Elsewhere) -> None:
    assert "METER_TOKEN" not in stack.said
    refused = await elsewhere.meter("token", "hank")
    assert (refused.code, refused.out) == (1, "")
    assert "only with the embedded database" in refused.err


async def test_it_does_not_start_where_nobody_could_sign_in(elsewhere: Elsewhere) -> None:
    with throwaway_folder() as parent:
        running = await start(parent / "state", **elsewhere.told)
        said = await running.ends()
    assert running.process.returncode == 1
    assert "METER_TOKEN_ISSUER" in said
    assert "METER_TOKEN_JWKS_FILE" in said
    assert "Traceback" not in said


async def test_usage_published_there_is_settled_there(
    stack: RunningStack, elsewhere: Elsewhere, issuer: DevelopmentIssuer
) -> None:
    for command in (
        "organizations add globex",
        "members add globex hank",
        "credits add globex 1000",
        "allocations set globex hank 80",
    ):
        assert (await elsewhere.meter(*command.split())).code == 0
    file = elsewhere.folder / "usage.csv"
    await asyncio.to_thread(file.write_text, USAGE)
    published = await elsewhere.meter("publish", str(file), "--json")
    assert (published.code, json.loads(published.out)["confirmed"]) == (0, 2)
    async with ledger(elsewhere.dsn) as books:
        # The ten credits of the first leave too few of eighty for the second.
        assert await books.settled(2) == {"charged": 1, "unfunded": 1}
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {issuer.issue('hank')}"}) as client:
        pool = (await client.get(f"{await stack.api_url()}/api/v1/org-billing/credits/globex")).json()
    assert (pool["available_credits"], pool["unfunded_credits"]) == ("990", "75")
