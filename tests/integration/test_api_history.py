"""The usage history: pages, filters, and the same as CSV and NDJSON."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest
from tests.read_api import BASE_PATH, ApiClient, read_api, seeded_api
from tests.rollup import ROLL_UP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import FreshDatabase, PostgresServers

#: 1,300 events on 13 days, so that many share a moment; then one unfunded that a new limit settles.
SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'ann', 'member');
select add_credits_to_pool('acme', 1300);
select allocate_credits_to_user('acme', 'ann', 1040);
select allocate_credits_to_user('acme', 'ben', 260);
select deduct_credits('acme', case when n % 5 = 0 then 'ben' else 'ann' end, 1,
                      case when n % 2 = 0 then 'llm' else 'valuation' end, p_event_id => n::text,
                      p_occurred_at => timestamptz '2026-01-01Z' + n % 13 * interval '1 day')
from generate_series(1, 1300) as n;
"""
UNFUNDED = """
select settle_usage(json_build_array(
    json_build_object('org_id', 'acme', 'event_key', usage_event_key('s', 'late-1'), 'event_id', 'late-1',
        'source', 's', 'user_id', 'ben', 'service_type', 'llm', 'quantity', 1, 'credits', 5,
        'credits_given', true, 'key_source', 'platform', 'key_source_given', false, 'metadata', '{}'::json,
        'occurred_at', '2026-01-20T00:00:00Z')));
select add_credits_to_pool('acme', 10);
select allocate_credits_to_user('acme', 'ben', 265);
"""
FORMULAS = {
    "=1+1": "'=1+1",
    "+1": "'+1",
    "-1": "'-1",
    "@x": "'@x",
    "\tx": "'\tx",
    "\rx": "'\rx",
    "a=b": "a=b",
}


@pytest.fixture(scope="module")
async def seeded(postgres_servers: PostgresServers) -> AsyncIterator[FreshDatabase]:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(SEED)
        await connection.execute(UNFUNDED)
        await connection.close()
        yield fresh


@pytest.fixture(scope="module")
async def api(seeded: FreshDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ApiClient]:
    async with read_api(seeded.dsn, tmp_path_factory.mktemp("api")) as client:
        yield client


async def test_pages_of_any_size_bring_every_entry_once_newest_first(
    api: ApiClient, seeded: FreshDatabase
) -> None:
    connection = await asyncpg.connect(seeded.dsn)
    rows = await connection.fetch("""
        select event_key::text, entry from credit_usage_attribution where org_id = 'acme'
        order by occurred_at desc, event_key desc, entry desc""")
    await connection.close()
    for limit in (97, 1000):
        seen, cursor = [], ""
        while cursor is not None:
            query = {"limit": limit, **({"cursor": cursor} if cursor else {})}
            page = (await api.get("/credits/acme/events", "olga", **query)).json()
            assert len(page["items"]) <= limit
            seen += [(item["event_key"], item["entry"]) for item in page["items"]]
            cursor = page["next_cursor"]
        assert seen == [tuple(row.values()) for row in rows]


async def test_the_last_page_has_no_cursor_even_when_it_is_full(api: ApiClient) -> None:
    page = (await api.get("/credits/acme/events", "olga", limit=100, to="2026-01-02T00:00:00Z")).json()
    assert (len(page["items"]), page["next_cursor"]) == (100, None)


async def test_a_funded_event_shows_its_moves_as_entries_of_their_own(api: ApiClient) -> None:
    items = (await api.get("/credits/acme/events", "olga", limit=3)).json()["items"]
    assert [(item["event_id"], item["entry"], item["outcome"], item["credits_used"]) for item in items] == [
        ("late-1", 2, "charged", "5"),
        ("late-1", 1, "unfunded", "-5"),
        ("late-1", 0, "unfunded", "5"),
    ]
    assert items[0]["total_cost"] == "0.005"


async def test_filters_narrow_the_history(api: ApiClient) -> None:
    async def count(**query: object) -> int:
        response = await api.get("/credits/acme/events", "olga", format="ndjson", **query)
        return len(response.text.splitlines())

    assert await count() == 1_303
    assert await count(user_id="ben") == 263
    assert await count(user_id="nobody") == 0
    assert await count(service_type="valuation") == 650
    assert await count(outcome="unfunded") == 2
    assert await count(user_id="ben", service_type="llm", outcome="charged") == 131
    assert await count(from_="2026-01-02T00:00:00Z", to="2026-01-03T00:00:00Z") == 100
    assert await count(from_="2026-01-02T01:00:00+01:00", to="2026-01-03T02:00:00+02:00") == 100
    assert await count(to="2026-01-01T00:00:00Z") == 0
    assert await count(limit=7) == 7


async def test_a_cursor_is_kept_inside_the_period_it_is_used_with(api: ApiClient) -> None:
    newest = (await api.get("/credits/acme/events", "olga", limit=1)).json()["next_cursor"]
    query = {"cursor": newest, "to": "2026-01-02T00:00:00Z"}
    items = (await api.get("/credits/acme/events", "olga", **query)).json()["items"]
    assert {item["occurred_at"] for item in items} == {"2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("text/csv", "text/csv; charset=utf-8"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
async def test_the_accept_header_chooses_the_format(api: ApiClient, accept: str, media_type: str) -> None:
    response = await api.get("/credits/acme/events", "olga", headers={"Accept": accept}, limit=1)
    assert response.headers["content-type"] == media_type
    assert "Accept" in response.headers["vary"]


async def test_the_query_goes_before_the_accept_header(api: ApiClient) -> None:
    headers = {"Accept": "text/csv"}
    response = await api.get("/credits/acme/events", "olga", headers=headers, format="ndjson", limit=1)
    assert response.headers["content-type"] == "application/x-ndjson"


async def test_csv_ndjson_and_json_say_the_same(api: ApiClient) -> None:
    query = {"limit": 1000}
    items = (await api.get("/credits/acme/events", "olga", **query)).json()["items"]
    lines = (await api.get("/credits/acme/events", "olga", format="ndjson", **query)).text.splitlines()
    assert [json.loads(line) for line in lines] == items
    text = (await api.get("/credits/acme/events", "olga", format="csv", **query)).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert list(rows[0]) == list(items[0])
    for row, item in zip(rows, items, strict=True):
        metadata = json.loads(row.pop("request_metadata"))
        assert metadata == item.pop("request_metadata")
        assert row == {name: "" if value is None else str(value) for name, value in item.items()}


async def test_csv_disarms_formulas_and_leaves_numbers_alone(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(SEED.partition("select allocate")[0])
        await connection.execute("select set_pool_terms('acme', false)")
        for name in FORMULAS:
            await connection.execute("select deduct_credits('acme', $1, 1, $1, $1, $1, '{}', $1, $1)", name)
        await connection.execute(
            UNFUNDED.partition("select add_credits")[0].replace("'credits', 5", "'credits', 5000")
        )
        await connection.execute("select add_credits_to_pool('acme', 9000)")
        await connection.close()
        async with read_api(fresh.dsn, tmp_path_factory.mktemp("api")) as api:
            text = (await api.get("/credits/acme/events", "olga", format="csv")).text
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    for column in ("user_id", "service_type", "service_name", "request_id", "event_id", "source"):
        found = {row[column] for row in rows if row["event_id"] != "late-1"}
        assert found == set(FORMULAS.values())
    assert "-5000" in {row["credits_used"] for row in rows}


async def test_numbers_in_metadata_come_out_as_they_went_in(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with postgres_servers.database() as fresh:
        connection = await asyncpg.connect(fresh.dsn)
        await connection.execute(SEED.partition("from generate_series")[0].partition("select deduct")[0])
        await connection.execute("""select deduct_credits('acme', 'ann', 1, 'llm',
            p_request_metadata => '{"small": 0.1000000000000000055511151231257827, "big": 1e5000}')""")
        await connection.close()
        async with read_api(fresh.dsn, tmp_path_factory.mktemp("api")) as api:
            text = (
                await api.http.get(
                    f"{BASE_PATH}/credits/acme/events",
                    headers={"Authorization": f"Bearer {api.issuer.token('olga')}"},
                )
            ).text
    assert "0.1000000000000000055511151231257827" in text
    assert "1" + "0" * 5000 in text


SPARSE_BEGIN = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select set_pool_terms('acme', false);
select add_credits_to_pool('acme', 1e9);
"""
#: 8,900 events a second apart; every 2,000th is of another kind, and the last of all is not summed.
SPARSE = """
select settle_usage((select json_agg(json_build_object('org_id', 'acme',
    'event_key', usage_event_key('s', n::text), 'event_id', n::text, 'source', 's', 'user_id', 'ann',
    'service_type', case when n % 2000 = 1 then 'rare' else 'llm' end, 'quantity', 1, 'credits', 1,
    'credits_given', true, 'key_source', 'platform', 'key_source_given', false, 'metadata', '{{}}'::json,
    'occurred_at', timestamptz '2026-01-01Z' + n * interval '1 second'))
    from generate_series({first}, {last}) as n));
"""


@pytest.mark.parametrize("summed", [False, True])
@pytest.mark.parametrize("query", [{}, {"user_id": "ann"}, {"outcome": "charged"}])
async def test_pages_of_a_rare_kind_may_be_short_but_bring_every_entry(
    postgres_servers: PostgresServers,
    tmp_path_factory: pytest.TempPathFactory,
    summed: bool,
    query: dict[str, str],
) -> None:
    steps = [SPARSE_BEGIN, SPARSE.format(first=1, last=8_000)]
    steps += [f"{ROLL_UP}; {ROLL_UP};"] * summed + [SPARSE.format(first=8_001, last=8_900)]
    async with seeded_api(postgres_servers, "\n".join(steps), tmp_path_factory.mktemp("api")) as api:
        found, pages, cursor = [], 0, ""
        while cursor is not None:
            page = await api.get(
                "/credits/acme/events",
                "olga",
                limit=3,
                service_type="rare",
                **query,
                **({"cursor": cursor} if cursor else {}),
            )
            found += [int(item["event_id"]) for item in page.json()["items"]]
            cursor = page.json()["next_cursor"]
            pages += 1
        exported = await api.get(
            "/credits/acme/events", "olga", format="ndjson", service_type="rare", **query
        )
        nothing = await api.get("/credits/acme/events", "olga", service_type="none")
    assert found == [8_001, 6_001, 4_001, 2_001, 1]
    assert pages > 2 - (summed and "user_id" not in query)
    assert [json.loads(line)["event_id"] for line in exported.text.splitlines()] == [str(n) for n in found]
    assert nothing.json()["items"] == []
    assert (nothing.json()["next_cursor"] is None) == summed
