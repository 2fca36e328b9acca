"""All code of docs/integration.md does what the guide says, in the order in which it stands there."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tests.admin_api import CONTRACT
from tests.private_servers import fresh_broker
from tests.read_api import BASE_PATH, check_against_contract
from tests.usage_queue import usage_queue

from meter.cli.commands import meter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from tests.admin_api import AdminClient

    from meter.events import Usage
    from meter.local.rabbitmq import RabbitServer

PAGE = (Path(__file__).parents[2] / "docs" / "integration.md").read_text("utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPOOL = "/var/spool/my-service"
SEED = """
select create_organization('acme', p_owner => 'olga');
select add_organization_member('acme', 'alice'), add_organization_member('acme', 'bob');
select add_credits_to_pool('acme', 1000);
select allocate_credits_to_user('acme', 'alice', 100);
"""


class Reader:
    """Somebody who follows the guide: does what it shows, and keeps what comes of it."""

    def __init__(self, api: AdminClient, amqp_url: str, spool: Path) -> None:
        self._api = api
        self._spool = spool
        #: What stands in the shell's variables and in Python's.
        self.known: dict[str, Any] = {"BASE": BASE_PATH, "ADMIN": BASE_PATH, "url": amqp_url}
        self._made_keys: list[str] = []
        self.answers: list[httpx.Response] = []
        self.shown: list[dict[str, Any]] = []
        self.published: list[Usage] = []

    async def follow(self, language: str, code: str) -> None:
        if language == "python":
            await self._python(code)
        elif language == "json":
            self.shown.append(json.loads(code))
        else:
            assert language == "sh"
            for line in code.splitlines():
                await self._shell(line)

    async def _python(self, code: str) -> None:
        compiled = compile(
            code.replace(SPOOL, str(self._spool)), "integration.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        waited = eval(compiled, self.known)
        if waited is not None:
            await waited

    async def _shell(self, line: str) -> None:
        if line.startswith("meter "):
            runner = CliRunner(env={"METER_DATABASE_URL": self._api.dsn})
            done = await asyncio.to_thread(runner.invoke, meter, shlex.split(line)[1:])
            assert done.exit_code == 0, done.output
            self._made_keys.append(done.stdout.strip())
        elif line.startswith("curl "):
            await self._curl(line)
        else:
            name, _, value = line.partition("=")
            if value.startswith("mk_…"):
                self.known[name] = self._made_keys.pop(0)
            assert name in self.known

    async def _curl(self, line: str) -> None:
        words = shlex.split(re.sub(r"\$([A-Z_]+)", self._value, line))[1:]
        method = "GET"
        if words[0] == "-X":
            _, method, *words = words
        *options, url = words
        pairs = list(zip(options[::2], options[1::2], strict=True))
        headers = dict(value.split(": ", 1) for option, value in pairs if option == "-H")
        sent = next((value for option, value in pairs if option == "-d"), None)
        answer = await self._api.http.request(method, url, headers=headers, content=sent)
        check_against_contract(answer, CONTRACT)
        self.answers.append(answer)

    def _value(self, name: re.Match[str]) -> str:
        if name[1] == "ETAG":
            return self.answers[-1].headers["etag"].replace('"', r"\"")
        return str(self.known[name[1]])


@pytest.fixture(scope="module")
async def reader(
    control_plane: AdminClient, rabbitmq_server: RabbitServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reader]:
    """One who followed all of the guide."""
    async with (
        control_plane.with_organizations(SEED) as api,
        fresh_broker(rabbitmq_server) as broker,
        usage_queue(broker.operator_url) as queue,
    ):
        followed = Reader(api, broker.publisher_url, tmp_path_factory.mktemp("spool"))
        for language, code in BLOCK.findall(PAGE):
            await followed.follow(language, code)
        followed.published = await queue.events()
        yield followed


async def test_what_it_publishes_arrives(reader: Reader) -> None:
    (event,) = reader.published
    assert (event.source, event.org_id, event.user_id) == ("my-service", "acme", "alice")
    assert (event.service_type, event.service_name) == ("llm", "gpt-4o")
    assert event.numbers == {"input_tokens": 1200, "output_tokens": 340}


async def test_what_it_asks_is_answered_as_it_shows(reader: Reader) -> None:
    check, deduction, balance, same_balance, usage = reader.answers
    assert check.json() == reader.shown[0]
    assert (deduction.status_code, deduction.json()["credits"]) == (200, "75")
    assert (balance.json()["available_credits"], same_balance.status_code) == ("925", 304)
    assert usage.json()["totals"]["credits"] == "75"


async def test_402_is_what_it_shows_and_nothing_was_written(
    reader: Reader, control_plane: AdminClient
) -> None:
    rows = "select count(*) from credit_usage_attribution"
    before = await control_plane.owner.fetchval(rows)
    refused = await control_plane.send(
        "/credits/deduct",
        {"Authorization": f"Bearer {reader.known['JOBS_KEY']}", "Idempotency-Key": "job-8"},
        json={"org_id": "acme", "user_id": "alice", "credits": "26", "service_type": "valuation"},
    )
    assert (refused.status_code, refused.json()) == (402, reader.shown[1])
    assert await control_plane.owner.fetchval(rows) == before


async def test_its_code_tells_who_helps_and_charges_under_the_same_key_once_they_did(
    reader: Reader, control_plane: AdminClient
) -> None:
    charge, who_helps = reader.known["charge"], reader.known["WHO_HELPS"]

    async def told(user_id: str) -> str | None:
        answer: str | None = await charge(
            control_plane.http, f"job of {user_id}".replace(" ", "-"), user_id, "50"
        )
        return answer

    assert await told("alice") == who_helps["allocation_exhausted"]
    assert await told("bob") == who_helps["no_allocation"]
    owner = control_plane.owner
    await owner.execute("select set_pool_terms('acme', p_allocation_required => false)")
    await owner.execute("select deduct_credits('acme', 'zoe', 900, 'llm')")
    assert await told("bob") == who_helps["pool_exhausted"]
    await owner.execute("select add_credits_to_pool('acme', 500)")
    await owner.execute("select allocate_credits_to_user('acme', 'alice', 200)")
    assert [await told("alice"), await told("bob")] == [None, None]
