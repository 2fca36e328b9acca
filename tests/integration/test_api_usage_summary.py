"""The usage summary against a sum in Python over the same entries, whether they are summed already or not."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from tests.read_api import ApiClient, seeded_api
from tests.rollup import FEW_MAKE_A_DAY_BUSY, ROLL_UP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers

SETTLE = """
select settle_usage((select json_agg(json_build_object('org_id', 'acme',
    'event_key', usage_event_key('s', n::text), 'event_id', n::text, 'source', 's',
    'user_id', 'user-' || n % 15, 'service_type', (array['llm', 'valuation', 'embeddings'])[n % 3 + 1],
    'service_name', case when n % 2 = 0 then 'full' end, 'quantity', n % 4, 'credits', n % 7 + 0.000001 * n,
    'credits_given', true, 'api_cost', 0.01, 'key_source', 'platform', 'key_source_given', false,
    'metadata', '{{}}'::json, 'occurred_at', timestamptz '2026-01-25T22:30:00Z' + n * interval '3 hours')
    order by n) from generate_series(1, 320) as n where n % 5 {part}));
"""
BEGIN = (
    FEW_MAKE_A_DAY_BUSY.format(entries=2)
    + """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'user-1', 'member');
select set_pool_terms('acme', false);
select add_credits_to_pool('acme', 500);
"""
)
TOP_UP = "select add_credits_to_pool('acme', 200);"
#: Summing waits for whatever transaction runs at its beginning, an autovacuum's for instance.
SUM = f"""
do $$ begin
    while (select is_complete from rolled_up_organizations) is not true
          and clock_timestamp() < now() + interval '30 seconds' loop
        perform * from ({ROLL_UP}) as step;
    end loop;
    assert (select is_complete from rolled_up_organizations);
end $$;
"""
#: 15 users on 40 days; the pool ends before the usage does, and a top-up then funds some of it.
SEEDS = {
    "from the ledger": [BEGIN, SETTLE.format(part=">= 0"), TOP_UP],
    "from sums": [BEGIN, SETTLE.format(part=">= 0"), TOP_UP, SUM],
    "from sums and the queue": [BEGIN, SETTLE.format(part="> 2"), SUM, SETTLE.format(part="<= 2"), TOP_UP],
}
PERIOD = {"from_": "2026-01-27T12:00:00Z", "to": "2026-03-01T00:00:00+01:00"}


@pytest.fixture(scope="module", params=SEEDS)
async def api(
    request: pytest.FixtureRequest,
    postgres_servers: PostgresServers,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[ApiClient]:
    seed = "\n".join(SEEDS[request.param])
    async with seeded_api(postgres_servers, seed, tmp_path_factory.mktemp("api")) as client:
        yield client


async def entries(api: ApiClient, **query: object) -> list[dict[str, Any]]:
    page = (await api.get("/credits/acme/events", "olga", limit=1000, **PERIOD, **query)).json()
    assert page["next_cursor"] is None
    items: list[dict[str, Any]] = page["items"]
    return items


def taken(items: list[dict[str, Any]]) -> Decimal:
    return sum(
        (Decimal(item["credits_used"]) for item in items if item["outcome"] in ("charged", "overage")),
        Decimal(0),
    )


def of_outcome(items: list[dict[str, Any]], outcome: str) -> Decimal:
    return sum((Decimal(item["credits_used"]) for item in items if item["outcome"] == outcome), Decimal(0))


def events(items: list[dict[str, Any]]) -> int:
    return sum(item["entry"] == 0 for item in items)


def grouped(items: list[dict[str, Any]], *names: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups = defaultdict(list)
    for item in items:
        groups[tuple(item[name] for name in names)].append(item)
    return groups


async def test_totals_and_outcomes_are_the_sums_of_the_entries(api: ApiClient) -> None:
    listed = await entries(api)
    summary = (await api.get("/credits/acme/usage", "olga", **PERIOD)).json()
    assert any(item["entry"] > 0 for item in listed)
    assert summary["totals"]["events"] == events(listed)
    assert Decimal(summary["totals"]["credits"]) == taken(listed)
    assert Decimal(summary["totals"]["unfunded_credits"]) == of_outcome(listed, "unfunded") > 0
    assert Decimal(summary["totals"]["api_cost"]) == Decimal("0.01") * events(listed)
    assert {of["outcome"]: (of["events"], Decimal(of["credits"])) for of in summary["by_outcome"]} == {
        outcome: (events(group), of_outcome(listed, outcome))
        for (outcome,), group in grouped(listed, "outcome").items()
    }


async def test_services_and_top_users_go_by_credits(api: ApiClient) -> None:
    listed = await entries(api)
    summary = (await api.get("/credits/acme/usage", "olga", **PERIOD)).json()
    by_service = grouped(listed, "service_type", "service_name")
    assert len(summary["by_service"]) == len(by_service) == 6
    for of in summary["by_service"]:
        group = by_service[of["service_type"], of["service_name"]]
        assert Decimal(of["credits"]) == taken(group)
        assert Decimal(of["unfunded_credits"]) == of_outcome(group, "unfunded")
        assert Decimal(of["quantity"]) == sum(Decimal(i["quantity"]) for i in group if i["entry"] == 0)
    by_user = sorted(
        ((taken(group), user) for (user,), group in grouped(listed, "user_id").items()), reverse=True
    )
    top = [(Decimal(of["credits"]), of["user_id"]) for of in summary["top_users"]]
    assert len(by_user) == 15
    assert top == by_user[:10]


@pytest.mark.parametrize(
    ("interval", "spans", "first"),
    [
        ("hour", 779, "2026-01-27T12:00:00Z"),
        ("day", 33, "2026-01-27T00:00:00Z"),
        ("week", 5, "2026-01-26T00:00:00Z"),
        ("month", 2, "2026-01-01T00:00:00Z"),
    ],
)
async def test_every_span_of_the_period_is_there(
    api: ApiClient, interval: str, spans: int, first: str
) -> None:
    listed = await entries(api)
    summary = (await api.get("/credits/acme/usage", "olga", interval=interval, **PERIOD)).json()
    (part,) = summary["series"]
    assert part["group"] is None
    assert [len(part["points"]), part["points"][0]["start"]] == [spans, first]
    assert sum(point["events"] for point in part["points"]) == events(listed)
    assert sum(Decimal(point["credits"]) for point in part["points"]) == taken(listed)
    assert sum(Decimal(point["unfunded_credits"]) for point in part["points"]) == of_outcome(
        listed, "unfunded"
    )
    starts = [point["start"] for point in part["points"]]
    for point, end in zip(part["points"], [*starts[1:], "9999"], strict=True):
        inside = [item for item in listed if point["start"] <= item["occurred_at"] < end]
        assert (point["events"], Decimal(point["credits"])) == (events(inside), taken(inside))


@pytest.mark.parametrize(("split", "parts"), [("outcome", 2), ("service_type", 3), ("user_id", 11)])
async def test_a_split_series_adds_up_and_ends_with_the_rest(api: ApiClient, split: str, parts: int) -> None:
    listed = await entries(api)
    query = {"interval": "week", "group_by": split, **PERIOD}
    summary = (await api.get("/credits/acme/usage", "olga", **query)).json()
    groups = grouped(listed, split)
    names = [part["group"] for part in summary["series"]]
    assert len(names) == parts
    assert (None in names) == (split == "user_id")
    for part in summary["series"]:
        of_part = groups.get((part["group"],)) or [i for i in listed if i[split] not in names]
        assert sum(point["events"] for point in part["points"]) == events(of_part)
        assert sum(Decimal(point["credits"]) for point in part["points"]) == taken(of_part)


async def test_a_members_summary_is_of_the_members_own_usage(api: ApiClient) -> None:
    mine = (await api.get("/credits/acme/usage", "user-1", **PERIOD)).json()
    of_me = (await api.get("/credits/acme/usage", "olga", user_id="user-1", **PERIOD)).json()
    assert mine["top_users"] is None
    assert {**mine, "top_users": of_me["top_users"]} == of_me
    assert Decimal(mine["totals"]["credits"]) == taken(await entries(api, user_id="user-1"))


@pytest.mark.parametrize("interval", ["hour", "day"])
async def test_the_series_of_a_user_has_the_users_entries_in_every_span(
    api: ApiClient, interval: str
) -> None:
    for number in range(15):
        listed = await entries(api, user_id=f"user-{number}")
        query = {"user_id": f"user-{number}", "interval": interval, "group_by": "outcome", **PERIOD}
        summary = (await api.get("/credits/acme/usage", "olga", **query)).json()
        assert summary["totals"]["events"] == events(listed)
        for part in summary["series"]:
            of_part = [item for item in listed if item["outcome"] == part["group"]]
            starts = [point["start"] for point in part["points"]]
            for point, end in zip(part["points"], [*starts[1:], "9999"], strict=True):
                inside = [item for item in of_part if point["start"] <= item["occurred_at"] < end]
                total = sum((Decimal(item["credits_used"]) for item in inside), Decimal(0))
                expected = total if part["group"] == "charged" else Decimal(0)
                assert (point["events"], Decimal(point["credits"])) == (events(inside), expected)


async def test_without_a_period_it_is_the_last_thirty_days(api: ApiClient) -> None:
    summary = (await api.get("/credits/acme/usage", "olga", to="2026-02-10T00:00:00Z")).json()
    assert (summary["from"], summary["to"]) == ("2026-01-11T00:00:00Z", "2026-02-10T00:00:00Z")
    assert len((await api.get("/credits/acme/usage", "olga")).json()["series"][0]["points"]) in (30, 31)


async def test_a_period_without_usage_is_all_zeros(api: ApiClient) -> None:
    query = {"from_": "2020-01-01T00:00:00Z", "to": "2020-01-03T00:00:00Z"}
    summary = (await api.get("/credits/acme/usage", "olga", **query)).json()
    assert summary["totals"] == {"events": 0, "credits": "0", "unfunded_credits": "0", "api_cost": "0"}
    assert (summary["by_outcome"], summary["by_service"], summary["top_users"]) == ([], [], [])
    assert [point["events"] for point in summary["series"][0]["points"]] == [0, 0]
