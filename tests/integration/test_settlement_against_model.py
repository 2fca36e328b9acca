"""The database against the model: any mix of events, redeliveries, top-ups and allocations, step by step."""

from __future__ import annotations

import asyncio
import json
import os
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.balances import WRONG_BALANCES
from tests.settlement_model import Allocation, Event, Model, Organization

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from tests.private_servers import FreshDatabase

#: Few of each, so that events meet: in a batch, in a pool, in an allocation.
ORGANIZATIONS = ["a", "b"]
USERS = ["u", "v", "w"]
KEYS = [str(uuid5(UUID(int=7), str(number))) for number in range(40)]
CREDITS = [Decimal(text) for text in ("0", "0.000001", "1", "2.5", "7")]

#: Every example has organizations of its own, so nothing has to be cleaned up between them.
examples = count()

events = st.builds(
    Event,
    org_id=st.sampled_from([*ORGANIZATIONS, "ghost"]),
    key=st.sampled_from(KEYS),
    user_id=st.sampled_from(USERS),
    credits=st.sampled_from([*CREDITS, None]),
    source=st.sampled_from(["model", "model", "model", "other"]),
)
given_events = events.filter(lambda event: event.credits is not None).map(
    lambda event: Event(event.org_id, event.key, event.user_id, event.credits, event.source, given=True)
)
amounts = st.sampled_from([Decimal(text) for text in ("0.000001", "1", "5", "12.5", "40")])


class Settling(RuleBasedStateMachine):
    """Each rule does the same to the database and to the model; the invariant compares all of both."""

    run: Callable[[Awaitable[Any]], Any]
    connection: asyncpg.Connection

    def __init__(self) -> None:
        super().__init__()
        self.settled = 0
        self.prefix = f"{next(examples)}-"
        self.model = Model()

    def sql(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = type(self).run(self.connection.fetch(query, *arguments))
        return rows

    @initialize(data=st.data())
    def create_organizations(self, data: st.DataObject) -> None:
        """One where everybody shares a pool that may be overdrawn, one where allocations count."""
        for org, shared in zip(ORGANIZATIONS, (True, False), strict=True):
            self.sql("select create_organization($1)", self.prefix + org)
            organization = self.model.organizations[org] = Organization()
            bought = data.draw(st.sampled_from([Decimal(5), Decimal(20)]))
            self.sql("select add_credits_to_pool($1, $2)", self.prefix + org, bought)
            organization.total = bought
            limit = data.draw(st.sampled_from([Decimal(1), Decimal(4)]))
            self.sql("select set_pool_terms($1, $2, $3, $4)", self.prefix + org, not shared, shared, limit)
            organization.allocation_required, organization.allow_overage = not shared, shared
            organization.overage_limit = limit
            # All of the pool is promised to one, so that others who need no promise can leave it short.
            self.sql("select allocate_credits_to_user($1, 'u', $2)", self.prefix + org, bought)
            organization.allocations["u"] = Allocation(bought)

    @rule(batch=st.lists(st.one_of(events, given_events), min_size=1, max_size=25))
    def settle_a_batch(self, batch: list[Event]) -> None:
        self.settled += 1
        answers = self.sql("select * from settle_usage($1)", json.dumps([self.published(e) for e in batch]))
        assert [row["pos"] for row in answers] == list(range(1, len(batch) + 1))
        assert [(row["outcome"], row["reason"]) for row in answers] == self.model.settle(batch)

    @rule(org=st.sampled_from(ORGANIZATIONS), credits=amounts)
    def top_up(self, org: str, credits: Decimal) -> None:
        organization = self.model.organizations[org]
        if organization.closed:
            return
        row = self.sql("select * from add_credits_to_pool($1, $2)", self.prefix + org, credits)[0]
        organization.total += credits
        assert row["funded_events"] == organization.fund()

    @rule(
        org=st.sampled_from(ORGANIZATIONS),
        user=st.sampled_from(USERS),
        credits=amounts,
        active=st.sampled_from([True, True, False]),
    )
    def allocate(self, org: str, user: str, credits: Decimal, active: bool) -> None:
        organization = self.model.organizations[org]
        if organization.closed:
            return
        before, promised = organization.allocations.get(user), organization.promised()
        used = before.used if before else Decimal(0)
        organization.allocations[user] = Allocation(credits, active, used)
        refused = organization.promised() > max(promised, organization.available, Decimal(0))
        call = "select * from allocate_credits_to_user($1, $2, $3, p_is_active => $4)"
        if refused:
            with pytest.raises(asyncpg.PostgresError) as refusal:
                self.sql(call, self.prefix + org, user, credits, active)
            assert refusal.value.sqlstate == "MT009"
            if before:
                organization.allocations[user] = before
            else:
                del organization.allocations[user]
            return
        assert (
            self.sql(call, self.prefix + org, user, credits, active)[0]["funded_events"]
            == organization.fund()
        )

    @rule(
        org=st.sampled_from(ORGANIZATIONS),
        required=st.sampled_from([False, False, True]),
        overage=st.sampled_from([True, True, False]),
        limit=amounts,
    )
    def set_terms(self, org: str, required: bool, overage: bool, limit: Decimal) -> None:
        organization = self.model.organizations[org]
        if organization.closed:
            return
        organization.allocation_required, organization.allow_overage = required, overage
        organization.overage_limit = limit
        funded = self.sql(
            "select set_pool_terms($1, $2, $3, $4)", self.prefix + org, required, overage, limit
        )
        assert funded[0][0] == organization.fund()

    @rule(org=st.sampled_from(ORGANIZATIONS), user=st.sampled_from(USERS), credits=st.sampled_from(CREDITS))
    def ask_and_deduct(self, org: str, user: str, credits: Decimal) -> None:
        organization = self.model.organizations[org]
        outcome, reason = organization.decide(user, credits)
        sufficient = self.sql("select has_sufficient_credits($1, $2, $3)", self.prefix + org, user, credits)
        assert sufficient[0][0] == (outcome != "unfunded")
        key = str(
            uuid5(
                UUID(int=8), f"{self.prefix}{sum(len(o.ledger) for o in self.model.organizations.values())}"
            )
        )
        call = "select * from deduct_credits($1, $2, $3, 'llm', p_event_id => $4, p_source => 'hand')"
        if outcome == "unfunded":
            with pytest.raises(asyncpg.PostgresError) as refusal:
                self.sql(call, self.prefix + org, user, credits, key)
            expected = {"organization_closed": "MT005", "no_allocation": "MT002"}.get(reason or "", "MT001")
            assert refusal.value.sqlstate == expected
            return
        first = self.sql(call, self.prefix + org, user, credits, key)[0]
        again = self.sql(call, self.prefix + org, user, credits, key)[0]
        assert (first["outcome"], first["repeated"]) == (outcome, False)
        assert (again["outcome"], again["repeated"]) == (outcome, True)
        organization.settle(Event(org, str(first["event_key"]), user, credits, "hand", given=True))

    @precondition(lambda self: self.settled > 5)
    @rule(org=st.sampled_from(ORGANIZATIONS))
    def close(self, org: str) -> None:
        self.sql("select close_organization($1)", self.prefix + org)
        self.model.organizations[org].closed = True

    def published(self, event: Event) -> dict[str, object]:
        return {
            "org_id": self.prefix + event.org_id,
            "event_key": event.key,
            "source": event.source,
            "user_id": event.user_id,
            "service_type": "llm",
            "quantity": "1",
            "credits": None if event.credits is None else str(event.credits),
            "credits_given": event.given,
            "key_source": "platform",
            "key_source_given": False,
            "metadata": {},
            "occurred_at": "2026-01-01T00:00:00Z",
        }

    @invariant()
    def database_equals_model(self) -> None:
        for org, expected in self.model.organizations.items():
            pool = self.sql("select * from organization_credit_pools where org_id = $1", self.prefix + org)[0]
            assert (pool["total_credits"], pool["used_credits"]) == (expected.total, expected.used)
            assert (pool["overage_credits"], pool["unfunded_credits"]) == (
                expected.overage,
                expected.unfunded,
            )
            assert pool["allocated_credits"] == sum(
                (a.allocated for a in expected.allocations.values() if a.active), Decimal(0)
            )
            allocations = self.sql(
                "select * from user_credit_allocations where org_id = $1", self.prefix + org
            )
            assert {
                row["user_id"]: (row["used_credits"], row["remaining_credits"]) for row in allocations
            } == {
                user: (allocation.used, allocation.remaining)
                for user, allocation in expected.allocations.items()
            }
            assert self.ledger(org) == {
                key: [(e.outcome, e.reason, e.credits, e.allocated) for e in entries]
                for key, entries in expected.ledger.items()
            }
            opened = self.sql(
                "select event_key from open_usage_events where org_id = $1 order by open_no",
                self.prefix + org,
            )
            assert [str(row["event_key"]) for row in opened] == expected.open

    @invariant()
    def balances_are_the_sums_of_their_rows(self) -> None:
        wrong = self.sql(WRONG_BALANCES, [self.prefix + org for org in self.model.organizations])
        assert wrong == []

    def ledger(self, org: str) -> dict[str, list[tuple[object, ...]]]:
        rows = self.sql(
            "select * from credit_usage_attribution where org_id = $1 order by event_key, entry",
            self.prefix + org,
        )
        found: dict[str, list[tuple[object, ...]]] = {}
        for row in rows:
            entries = found.setdefault(str(row["event_key"]), [])
            assert row["entry"] == len(entries)
            entries.append(
                (row["outcome"], row["reason"], row["credits_used"], row["allocation_id"] is not None)
            )
        return found


@pytest.fixture
def settling(database: FreshDatabase) -> Iterator[type[Settling]]:
    with asyncio.Runner() as runner:
        Settling.run = runner.run
        Settling.connection = runner.run(asyncpg.connect(database.dsn))
        yield Settling
        runner.run(Settling.connection.close())


def test_the_database_settles_as_the_model_does(settling: type[Settling]) -> None:
    run_state_machine_as_test(
        settling,
        settings=settings(
            max_examples=int(os.environ.get("METER_TEST_EXAMPLES", "25")),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
