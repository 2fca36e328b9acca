"""API keys: made and revoked with ``meter keys``, and what a service may do with one."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from click.testing import CliRunner
from tests.read_api import BASE_PATH, ApiClient, read_api

from meter.api.service_keys import BELIEVED_S
from meter.cli.commands import meter
from meter.db.key_secrets import digest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    from tests.private_servers import FreshDatabase, PostgresServers

SEED = """
select create_organization('acme'), create_organization('globex');
select add_organization_member('acme', 'ann', 'member');
select add_credits_to_pool('acme', 1000), add_credits_to_pool('globex', 1000);
select allocate_credits_to_user('acme', 'ann', 500);
"""


@pytest.fixture(scope="module")
async def database(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def owner(database: FreshDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute(SEED)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def api(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ApiClient]:
    async with read_api(database.dsn, tmp_path_factory.mktemp("api")) as client:
        yield client


async def meter_keys(database: FreshDatabase, *arguments: str, code: int = 0) -> Any:
    """What ``meter keys … --json`` prints, or says when it fails."""
    runner = CliRunner(env={"METER_DATABASE_URL": database.dsn})
    done = await asyncio.to_thread(runner.invoke, meter, ["keys", *arguments, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if code == 0 else done.stderr


async def key_for(database: FreshDatabase, *arguments: str) -> str:
    key: str = (await meter_keys(database, "create", "test", *arguments))["key"]
    return key


async def got(api: ApiClient, key: str, path: str) -> httpx.Response:
    return await api.get(path, headers={"Authorization": f"Bearer {key}"})


async def statuses(api: ApiClient, key: str, *paths: str) -> list[int]:
    return [(await got(api, key, path)).status_code for path in paths]


async def test_a_key_is_good_for_its_organization_and_its_scopes(
    api: ApiClient, database: FreshDatabase
) -> None:
    reads = ["", "/allocations", "/events", "/usage"]
    of_acme = [f"/credits/acme{suffix}" for suffix in reads] + ["/organizations/acme/members"]
    check = "/credits/acme/check?user_id=ann&credits=1"
    reader = await key_for(database, "--org", "acme", "--scope", "read")
    checker = await key_for(database, "--org", "acme", "--scope", "check", "--scope", "deduct")
    assert await statuses(api, reader, *of_acme, check) == [200] * 5 + [403]
    assert await statuses(api, checker, *of_acme, check) == [403] * 5 + [200]
    assert (await got(api, reader, "/credits/acme")).json()["total_credits"] == "1000"
    for key in (reader, checker):
        # A service is nobody, and belongs to nobody's organizations.
        assert await statuses(api, key, "/credits/user/ann", "/organizations") == [403, 403]
    assert (await got(api, checker, "/credits/acme/check?credits=1")).status_code == 422


async def test_to_a_key_another_organization_is_as_unknown_as_one_that_is_not_there(
    api: ApiClient, database: FreshDatabase
) -> None:
    key = await key_for(database, "--org", "acme", "--scope", "read", "--scope", "check")
    for suffix in ("", "/allocations", "/events", "/usage", "/check?user_id=x&credits=1"):
        other = await got(api, key, f"/credits/globex{suffix}")
        unknown = await got(api, key, f"/credits/nobody{suffix}")
        malformed = await got(api, key, f"/credits/-{suffix}")
        assert (other.status_code, other.content) == (404, unknown.content)
        assert other.content == malformed.content


async def test_a_key_for_all_organizations_is_good_for_those_that_exist(
    api: ApiClient, database: FreshDatabase
) -> None:
    key = await key_for(database, "--all-organizations", "--scope", "read")
    assert await statuses(
        api, key, "/credits/acme", "/credits/globex/events", "/credits/nobody", "/credits/nobody/events"
    ) == [200, 200, 404, 404]


async def test_a_revoked_key_is_refused_within_five_seconds(api: ApiClient, database: FreshDatabase) -> None:
    key = await key_for(database, "--org", "acme", "--scope", "read")
    assert await statuses(api, key, "/credits/acme") == [200]
    prefix = key.rpartition("_")[0]
    assert await meter_keys(database, "revoke", key) == {"prefix": prefix, "revoked": True}
    revoked_at = time.monotonic()
    while (answer := await got(api, key, "/credits/acme")).status_code == 200:
        assert time.monotonic() < revoked_at + 5
    assert answer.status_code == 401
    assert key not in answer.text
    assert BELIEVED_S < 5
    assert await meter_keys(database, "revoke", prefix) == {"prefix": prefix, "revoked": False}


async def test_an_expired_key_and_what_is_no_key_are_told_the_same(
    api: ApiClient, database: FreshDatabase, owner: asyncpg.Connection
) -> None:
    key = await key_for(database, "--org", "acme", "--scope", "read", "--days", "1")
    assert await statuses(api, key, "/credits/acme") == [200]
    fresh = await key_for(database, "--org", "acme", "--scope", "read", "--days", "1")
    await owner.execute(
        "update api_keys set expires_at = now() - interval '1 second' where key_sha256 = $1", digest(fresh)
    )
    told = {
        (answer.status_code, answer.json()["detail"])
        for answer in [
            await got(api, wrong, "/credits/acme")
            for wrong in (
                fresh,
                key[:-1],
                key + "x",
                "mk_",
                f"mk_12345678_{'x' * 43}",
                "mk_" + key[3:].swapcase(),
            )
        ]
    }
    assert told == {(401, "the API key is not known, has expired or was revoked")}


async def test_the_last_use_is_noted_at_most_once_a_minute(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = await key_for(database, "--org", "acme", "--scope", "read")
    noted = "select last_used_at from api_keys where key_sha256 = $1"
    assert await owner.fetchval(noted, digest(key)) is None
    last = None
    for started_again in range(2):
        async with read_api(database.dsn, tmp_path_factory.mktemp("api")) as api:
            assert await statuses(api, key, "/credits/acme") == [200]
        if started_again:
            assert await owner.fetchval(noted, digest(key)) == last
        last = await owner.fetchval(noted, digest(key))
        assert last is not None
    await owner.execute("update api_keys set last_used_at = now() - interval '61 seconds'")
    async with read_api(database.dsn, tmp_path_factory.mktemp("api")) as api:
        assert await statuses(api, key, "/credits/acme") == [200]
    assert await owner.fetchval(noted, digest(key)) > last


async def test_a_key_that_is_just_being_changed_is_let_in_without_waiting(
    database: FreshDatabase, owner: asyncpg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> None:
    key = await key_for(database, "--org", "acme", "--scope", "read")
    async with (
        read_api(database.dsn, tmp_path_factory.mktemp("api")) as api,
        owner.transaction(),
        asyncio.timeout(20),
    ):
        await owner.execute("select from api_keys where key_sha256 = $1 for update", digest(key))
        assert await statuses(api, key, "/credits/acme") == [200]


async def test_the_secret_is_shown_once_and_kept_nowhere(
    database: FreshDatabase, owner: asyncpg.Connection
) -> None:
    made = await meter_keys(
        database, "create", "checkout", "--org", "acme", "--scope", "check", "--reads-per-minute", "600"
    )
    secret = made["key"].rpartition("_")[2]
    listed = await meter_keys(database, "list", "--org", "acme")
    (entry,) = [entry for entry in listed if entry["prefix"] == made["prefix"]]
    assert (entry["name"], entry["scopes"], entry["reads_per_minute"]) == ("checkout", ["check"], 600)
    assert entry["created_by"].startswith("cli:")
    assert secret not in json.dumps(listed)
    kept = await owner.fetchval("select string_agg(api_keys::text, ' ') from api_keys")
    assert secret not in kept
    assert made["key"].startswith(made["prefix"] + "_")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["create", "x", "--scope", "read"], 2, "--all-organizations"),
        (["create", "x", "--scope", "read", "--org", "acme", "--all-organizations"], 2, "--org"),
        (["create", "x", "--org", "acme"], 2, "--scope"),
        (["create", "x", "--org", "nobody", "--scope", "read"], 1, "nobody"),
        (["create", " ", "--org", "acme", "--scope", "read"], 1, "name"),
        (["revoke", "mk_nobody00"], 1, "meter keys list"),
    ],
)
async def test_what_cannot_be_done_is_said(
    database: FreshDatabase, owner: asyncpg.Connection, arguments: list[str], code: int, said: str
) -> None:
    assert said in await meter_keys(database, *arguments, code=code)


async def test_the_database_away_is_503_for_a_key_it_would_have_to_look_up(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # Nothing can listen on port 1 without being root's.
    async with read_api("postgresql://x@127.0.0.1:1/x", tmp_path_factory.mktemp("api")) as api:
        answer = await got(api, f"mk_12345678_{'x' * 43}", "/credits/acme")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        response = await api.http.get(f"{BASE_PATH}/credits/acme", headers={"Authorization": "Bearer mk_x"})
        assert response.status_code == 401
