"""A first day beside ``meter up``: an organization, usage from files, what is shown and what is not."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from tests.first_day import (
    SPOKEN,
    UNPUBLISHED,
    Day,
    exposition,
    first_day,
    label_values,
    logs_in,
    passwords_in,
    samples_of,
)
from tests.private_servers import throwaway_folder
from tests.running_stack import RunningStack, meter, running_stack
from tests.running_worker import until

from meter.consumers.metrics import SERVICE_TYPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


WRONG_TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtYWxsb3J5In0.c2lnbmVkLWJ5LW1hbGxvcnk"


@pytest.fixture(scope="module")
async def stack() -> AsyncIterator[RunningStack]:
    # The more it logs, the more it could give away.
    with throwaway_folder() as parent:
        async with running_stack(parent / "state", METER_LOG_LEVEL="debug") as running:
            await running.says("^  curl ")
            yield running


@pytest.fixture(scope="module")
async def day(stack: RunningStack) -> Day:
    return await first_day(stack)


def test_an_operator_begins_on_an_empty_database(day: Day) -> None:
    assert [(command.code, command.err) for command in day.beginning] == [(0, "")] * 6
    created, member, pool, allocation, organizations, members = [
        json.loads(command.out) for command in day.beginning
    ]
    assert created == {"org_id": "globex", "created": True}
    assert member == {"org_id": "globex", "user_id": "hank", "role": "owner", "changed": True}
    assert pool["total_credits"] == pool["available_credits"] == "1000.000000"
    assert allocation["remaining_credits"] == "600.000000"
    assert {row["id"]: (row["plan"], row["members"]) for row in organizations} == {
        "acme": (None, 1),
        "globex": ("platform", 1),
    }
    assert [(row["user_id"], row["role"]) for row in members] == [("hank", "owner")]


def test_bad_rows_of_a_file_are_named_by_their_line_and_the_others_are_published(day: Day) -> None:
    csv, ndjson = day.published["usage.csv"], day.published["usage.ndjson"]
    assert (csv.code, ndjson.code) == (1, 1)
    assert "line 3: it has 2 cells, the header has 8" in csv.err
    assert "line 4: data.credits must not be negative" in csv.err
    assert csv.out.startswith("published 4 events as file:sha256:")
    assert "line 2: " in ndjson.err
    assert "line 4: " in ndjson.err
    assert ndjson.out.startswith("published 3 events as file:sha256:")
    assert "Traceback" not in csv.err + ndjson.err


def test_what_was_published_is_shown_to_the_organizations_owner(day: Day) -> None:
    assert {
        (entry["user_id"], entry["service_type"]): (
            entry["outcome"],
            entry["reason"],
            entry["credits_used"],
        )
        for entry in day.entries
    } == {
        ("hank", "llm"): ("charged", None, "8.7"),
        ("ines", "contact_lookup"): ("unfunded", "no_allocation", "2.5"),
        ("hank", "house_of_our_own"): ("charged", None, "3"),
        ("hank", "valuation"): ("charged", None, "75"),
        ("hank", "bulk_export"): ("charged", None, "15"),
        ("hank", "unheard_of"): ("unpriced", None, "0"),
    }
    (contract,) = [entry for entry in day.entries if entry["service_type"] == "bulk_export"]
    assert (contract["event_id"], contract["source"]) == ("42", "a-service")
    assert contract["occurred_at"] == "2026-01-02T01:04:05Z"
    assert SPOKEN in json.dumps(day.entries)


async def test_a_file_published_again_is_taken_and_charges_nothing(day: Day) -> None:
    again = await meter(day.stack.folder, "publish", str(day.stack.folder / "usage.csv"), "--json")
    assert again.code == 1
    assert json.loads(again.out) == {"rows": 6, "confirmed": 4, "bad": 2, "unconfirmed": 0}
    headers = {"Authorization": f"Bearer {day.token}"}
    async with httpx.AsyncClient(base_url=await day.stack.api_url(), headers=headers) as client:

        async def duplicates() -> float:
            return (await samples_of(day.stack, "worker"))[("meter_events_total", ("outcome", "duplicate"))]

        assert await until(duplicates, lambda found: found >= 3) == 3
        pool = (await client.get("/api/v1/org-billing/credits/globex")).json()
    assert (pool["used_credits"], pool["unfunded_credits"]) == ("101.7", "2.5")


@pytest.mark.parametrize(
    "command",
    [
        "nonsense",
        "dead-letters list --reason bad_weather",
        "dead-letters discard --yes",
        "dead-letters replay --json",
        "organizations add",
        "credits add globex much",
        "credits add globex 0.0000001",
        "members add globex hank --role king",
        "publish no-such-file.csv",
        "up --no-such-option",
    ],
)
async def test_bad_usage_ends_with_2(stack: RunningStack, command: str) -> None:
    finished = await meter(stack.folder, *command.split())
    assert (finished.code, finished.out) == (2, "")
    assert "Usage: meter" in finished.err


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("credits add nobody 5", 'organization "nobody" is not known'),
        ("allocations set acme alice 2000000", "At most 1000000.000000 can be allocated now"),
        ("migrate", "METER_DATABASE_URL is not set"),
        ("publish /dev/null", "must end in .csv, .ndjson or .jsonl"),
    ],
)
async def test_what_fails_says_why_in_a_sentence_and_ends_with_1(
    stack: RunningStack, command: str, sentence: str
) -> None:
    finished = await meter(stack.folder, *command.split())
    assert (finished.code, finished.out) == (1, "")
    assert sentence in finished.err
    assert finished.err.strip().count("\n") == 0


async def test_prometheus_finds_the_workers_metrics_and_no_label_names_a_customer(day: Day) -> None:
    families = {family.name: family for family in await exposition(day.stack, "worker")}
    own = {name: family for name, family in families.items() if name.startswith("meter_")}
    # The moment each series began is the library's addition.
    types = {name: family.type for name, family in own.items() if not name.endswith("_created")}
    assert types == {
        "meter_build_info": "gauge",
        "meter_events": "counter",
        "meter_settle_seconds": "histogram",
        "meter_batch_events": "histogram",
        "meter_in_flight_events": "gauge",
        "meter_in_flight_bytes": "gauge",
        "meter_queue_messages": "gauge",
        "meter_publish_to_commit_seconds": "histogram",
        "meter_reconnects": "counter",
        "meter_credits": "counter",
        "meter_dead_letters": "counter",
    }
    labels = {label for family in own.values() for sample in family.samples for label in sample.labels}
    assert labels <= {"outcome", "queue", "service_type", "reason", "le", "role", "version"}
    outcomes = {"charged", "overage", "unfunded", "unpriced", "void", "duplicate", "conflict", "dead"}
    assert await label_values(day.stack, "worker", "outcome") == outcomes
    # A service type that nobody knows must not make a series of its own.
    assert await label_values(day.stack, "worker", "service_type") == {*SERVICE_TYPES, "other"}
    assert await label_values(day.stack, "worker", "queue") == {"meter.usage", "meter.dead"}
    samples = await samples_of(day.stack, "worker")
    assert samples[("meter_events_total", ("outcome", "charged"))] == 4
    assert samples[("meter_credits_total", ("service_type", "other"))] == 3


async def test_prometheus_finds_the_apis_metrics_and_no_label_names_a_customer(day: Day) -> None:
    families = {family.name: family for family in await exposition(day.stack, "api")}
    assert families["meter_http_requests"].type == "counter"
    assert families["meter_http_request_seconds"].type == "histogram"
    assert "/api/v1/org-billing/credits/{org_id}/events" in await label_values(day.stack, "api", "route")
    told = json.dumps([sample.labels for family in families.values() for sample in family.samples])
    assert not [word for word in ("globex", "acme", "hank", "alice") if word in told]


async def test_prometheus_finds_the_brokers_metrics(day: Day) -> None:
    families = {family.name for family in await exposition(day.stack, "broker")}
    assert {"rabbitmq_queue_messages_ready", "rabbitmq_connections"} <= families


async def test_no_log_holds_a_secret_or_what_was_published(day: Day) -> None:
    folder = day.stack.folder
    async with httpx.AsyncClient(base_url=await day.stack.api_url()) as client:
        refused = await client.get(
            "/api/v1/org-billing/credits/globex", headers={"Authorization": f"Bearer {WRONG_TOKEN}"}
        )
        in_address = await client.get("/api/v1/org-billing/credits/globex", params={"token": WRONG_TOKEN})
    assert (refused.status_code, in_address.status_code) == (401, 401)
    logs = await asyncio.to_thread(logs_in, folder)
    assert logs.keys() >= {"api.log", "worker.log", "postgres.log", "rabbitmq.log"}
    # Both of meter's own say something about the events, or there would be nothing to find.
    assert "dead letter" in logs["worker.log"]
    assert "/api/v1/org-billing/credits/{org_id}/events" in logs["api.log"]
    hidden = {
        "payload": [SPOKEN, UNPUBLISHED, "gpt-4o"],
        "token": [day.token, WRONG_TOKEN, (await day.stack.says(r"METER_TOKEN=(\S+)"))[1]],
        "password": await asyncio.to_thread(passwords_in, folder),
    }
    given_away = [
        (name, kind)
        for name, text in logs.items()
        for kind, secrets in hidden.items()
        for secret in secrets
        if secret in text
    ]
    assert given_away == []


async def test_usage_of_an_organization_nobody_knew_is_charged_once_it_is_added_and_replayed(
    day: Day,
) -> None:
    folder = day.stack.folder
    listed = await meter(folder, "dead-letters", "list", "--org", "nobody", "--json")
    letters = json.loads(listed.out)
    assert {letter["reason"] for letter in letters} == {"unknown_organization"}
    assert (await meter(folder, "organizations", "add", "nobody")).code == 0
    replayed = await meter(folder, "dead-letters", "replay", "--org", "nobody", "--yes", "--json")
    assert json.loads(replayed.out) == {"matching": len(letters), "replayed": len(letters)}
    again = await meter(folder, "dead-letters", "list", "--org", "nobody")
    assert (again.code, again.out) == (0, "none\n")
    connection = await asyncpg.connect(await day.stack.dsn())
    try:
        outcome = await until(
            lambda: connection.fetchval(
                "select outcome::text from credit_usage_attribution where org_id = 'nobody' and entry = 0"
            ),
            bool,
        )
    finally:
        await connection.close()
    # Known by now, but nobody has bought it credits.
    assert outcome == "unfunded"
