"""The database against the model: any mix of events, redeliveries, top-ups, resets, workers, step by step."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from tests.settlement_batches import Settle, SettleByWorker, TakeBack
from tests.settlement_database import SettlingDatabase
from tests.settlement_drafts import (
    CREDITS,
    ORGANIZATIONS,
    Draft,
    Identity,
    VoidDraft,
    a_draft,
    a_void_draft,
    amounts,
    drafts,
    orgs,
    reset_periods,
    users,
    void_drafts,
)
from tests.settlement_published import Published
from tests.settlement_side_by_side import SideBySide
from tests.settlement_steps import Allocate, Bill, Close, Deduct, Found, GoOnFunding, Reset, SetTerms, TopUp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.private_servers import FreshDatabase
    from tests.settlement_batches import Step

#: Enough to meet every mutation of the SQL that tests/mutations knows; METER_TEST_EXAMPLES asks for more.
EXAMPLES = 500
STEPS = 15
#: Finding the smallest example takes minutes; METER_TEST_SHRINK=0 is for who only asks whether there is any.
SHRINK = os.environ.get("METER_TEST_SHRINK") != "0"


class Settling(SideBySide):
    """What may happen to organizations, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.published = Published(self.prefix, self.keys_of)

    def keys_of(self, org_id: str) -> list[str]:
        return list(self.model.organizations[org_id].contents)

    @initialize(
        bought=st.sampled_from([1_000_000, 5_000_000, 20_000_000]),
        limit=st.sampled_from([1_000_000, 4_000_000]),
    )
    def found_organizations(self, bought: int, limit: int) -> None:
        """One where everybody shares a pool that may be overdrawn, one where allocations count."""
        for org, shared in zip(ORGANIZATIONS, (True, False), strict=True):
            org_id = self.prefix + org
            # All of the pool is promised to one, so that others who need no promise can leave it short.
            self.both(Found(org_id, bought, SetTerms(org_id, not shared, shared, limit)))

    @rule(drafted=drafts)
    def settle_a_batch(self, drafted: list[Draft]) -> None:
        self.both(Settle(self.published.batch(drafted)))

    @rule(drafted=drafts)
    def settle_a_batch_of_the_worker(self, drafted: list[Draft]) -> None:
        self.both(SettleByWorker(self.published.batch(drafted)))

    @rule(drafted=void_drafts)
    def take_back(self, drafted: list[VoidDraft]) -> None:
        self.both(SettleByWorker(self.published.voids(drafted)))

    @rule(drafted=st.lists(st.one_of(a_draft, a_draft, a_void_draft), min_size=1, max_size=20))
    def settle_a_mixed_batch(self, drafted: list[Draft | VoidDraft]) -> None:
        self.both(SettleByWorker(self.published.mixed(drafted)))

    @rule(org=orgs, credits=amounts)
    def bill(self, org: str, credits: int) -> None:
        self.both(Bill(self.prefix + org, credits))

    @rule(org=orgs, credits=amounts)
    def top_up(self, org: str, credits: int) -> None:
        self.both(TopUp(self.prefix + org, credits))

    @rule(
        org=orgs,
        user=users,
        credits=amounts,
        active=st.sampled_from([True, True, False]),
        period=reset_periods,
    )
    def allocate(self, org: str, user: str, credits: int, active: bool, period: str | None) -> None:
        self.both(Allocate(self.prefix + org, user, credits, active, period))

    @rule(
        org=orgs,
        required=st.sampled_from([False, False, True]),
        overage=st.sampled_from([True, True, False]),
        limit=amounts,
    )
    def set_terms(self, org: str, required: bool, overage: bool, limit: int) -> None:
        self.both(SetTerms(self.prefix + org, required, overage, limit))

    @rule(org=orgs, limit=st.integers(1, 3))
    def go_on_funding(self, org: str, limit: int) -> None:
        self.both(GoOnFunding(self.prefix + org, limit))

    @rule(accounts=st.sets(st.tuples(orgs, users), min_size=1, max_size=3))
    def reset(self, accounts: set[tuple[str, str]]) -> None:
        self.both(Reset(tuple((self.prefix + org, user) for org, user in sorted(accounts))))

    @rule(org=orgs, user=users, credits=st.sampled_from(CREDITS))
    def ask_and_deduct(self, org: str, user: str, credits: int) -> None:
        self.both(Deduct(self.prefix + org, user, credits, f"by hand {self.steps}"))

    @precondition(lambda self: self.steps > 8)
    @rule(org=orgs)
    def close(self, org: str) -> None:
        self.both(Close(self.prefix + org))

    @rule(
        held=drafts,
        batches=st.lists(drafts, min_size=1, max_size=2),
        credits=st.one_of(st.none(), st.tuples(orgs, amounts)),
    )
    def settle_batches_at_the_same_time(
        self, held: list[Draft], batches: list[list[Draft]], credits: tuple[str, int] | None
    ) -> None:
        steps: list[Step] = [Settle(self.published.batch(held)), *self.workers(batches)]
        if credits is not None:
            steps.append(TopUp(self.prefix + credits[0], credits[1]))
        self.at_the_same_time(steps)

    @rule(
        org=orgs,
        user=users,
        credits=amounts,
        change=st.sampled_from(["reset", "allocate", "take out", "terms", "top up"]),
        asked=st.sampled_from([0, 1, 1_000_000]),
        batches=st.lists(drafts, min_size=1, max_size=2),
    )
    def settle_while_credits_change(
        self, org: str, user: str, credits: int, change: str, asked: int, batches: list[list[Draft]]
    ) -> None:
        """Each batch has usage of the one whose credits change, predicted before and settled after."""
        # In both organizations, so that a batch cannot pass for settled before the change in one of them.
        concerned = [
            Draft(each, user, "llm", asked if each == org else 1, True, None, Identity.NEW, 1)
            for each in ORGANIZATIONS
        ]
        org_id = self.prefix + org
        first: dict[str, Step] = {
            "reset": Reset(tuple((self.prefix + each, user) for each in ORGANIZATIONS)),
            "allocate": Allocate(org_id, user, credits, True, None),
            # Otherwise it could pay for the batches that wait.
            "take out": Allocate(org_id, user, 40_000_000, False, None),
            "terms": SetTerms(org_id, credits > 5_000_000, credits < 5_000_000, credits),
            "top up": TopUp(org_id, credits),
        }
        self.at_the_same_time([first[change], *self.workers([[*drafted, *concerned] for drafted in batches])])

    @rule(
        voids=void_drafts,
        batches=st.lists(drafts, min_size=1, max_size=2),
        others=st.lists(void_drafts, max_size=1),
        voids_first=st.booleans(),
    )
    def take_back_while_others_settle(
        self,
        voids: list[VoidDraft],
        batches: list[list[Draft]],
        others: list[list[VoidDraft]],
        voids_first: bool,
    ) -> None:
        """Drafted first, so that events of the batches are what the voids name."""
        first: list[Step] = [TakeBack(self.published.voids(voids))]
        # By hand, so that it can hold its locks while the others begin.
        second: list[Step] = [Settle(self.published.batch(batches[0])), *self.workers(batches[1:])]
        steps = [*first, *second] if voids_first else [*second, *first]
        steps += [TakeBack(self.published.voids(drafted)) for drafted in others]
        self.at_the_same_time(steps)

    def workers(self, batches: list[list[Draft]]) -> list[Step]:
        """One by a worker, the next by hand."""
        return [
            (Settle if number % 2 else SettleByWorker)(self.published.batch(drafted))
            for number, drafted in enumerate(batches)
        ]


@pytest.fixture
def settling(database: FreshDatabase) -> Iterator[type[Settling]]:
    with asyncio.Runner() as runner:
        Settling.run = runner.run
        Settling.database = runner.run(SettlingDatabase.open(database.dsn))
        yield Settling
        runner.run(Settling.database.close())


def test_the_database_settles_as_the_model_does(settling: type[Settling]) -> None:
    run_state_machine_as_test(
        settling,
        settings=settings(
            max_examples=int(os.environ.get("METER_TEST_EXAMPLES", EXAMPLES)),
            stateful_step_count=STEPS,
            phases=tuple(Phase) if SHRINK else (Phase.generate,),
            database=settings().database if SHRINK else None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
