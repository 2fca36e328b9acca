"""The database against the model: any mix of events, redeliveries, top-ups, resets, workers, step by step."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from itertools import count, permutations
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.settlement_batches import Settle, SettleByWorker, TakeBack
from tests.settlement_database import SettlingDatabase
from tests.settlement_drafts import (
    CREDITS,
    ORGANIZATIONS,
    Draft,
    Identity,
    Target,
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
from tests.settlement_events import Event, Void
from tests.settlement_model import Model
from tests.settlement_state import differences, state_of
from tests.settlement_steps import Allocate, Bill, Close, Deduct, Found, GoOnFunding, Reset, SetTerms, TopUp

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.private_servers import FreshDatabase
    from tests.settlement_batches import Step

#: Enough to meet every mutation of the SQL that tests/mutations knows; METER_TEST_EXAMPLES asks for more.
EXAMPLES = 500
STEPS = 15
#: Finding the smallest example takes minutes; METER_TEST_SHRINK=0 is for who only asks whether there is any.
SHRINK = os.environ.get("METER_TEST_SHRINK") != "0"

#: Every example has organizations of its own, so nothing has to be cleaned up between them.
examples = count()
KEYS = [str(uuid5(UUID(int=7), str(number))) for number in range(5_000)]


class Settling(RuleBasedStateMachine):
    """Each rule does the same to the database and to the model; the invariant compares all of both."""

    run: Callable[[Coroutine[Any, Any, Any]], Any]
    database: SettlingDatabase

    def __init__(self) -> None:
        super().__init__()
        self.steps = 0
        self.latest: list[Step] = []
        self.prefix = f"{next(examples)}-"
        self.model = Model()
        self.published: list[Event] = []
        self.voids: list[Void] = []
        #: Organizations and keys that voids have named and no event has.
        self.promised: list[tuple[str, str]] = []
        self.keys = iter(KEYS)
        self.found = ""

    def both(self, step: Step) -> None:
        expected = step.on_model(self.model)
        answer, self.found = self.run(self.database.do(step, list(self.model.organizations)))
        assert answer == expected, step
        self.latest, self.steps = [step], self.steps + 1

    def batch(self, drafted: list[Draft]) -> tuple[Event, ...]:
        return tuple(self.event(draft) for draft in drafted)

    def mixed(self, drafted: list[Draft | VoidDraft]) -> tuple[Event | Void, ...]:
        return tuple(
            self.void(draft) if isinstance(draft, VoidDraft) else self.event(draft) for draft in drafted
        )

    def void(self, draft: VoidDraft) -> Void:
        org_id = self.prefix + draft.org
        earlier = self.voids[-min(draft.back, len(self.voids))] if self.voids else None
        if earlier and draft.identity is Identity.AGAIN:
            return earlier
        if earlier and draft.identity is Identity.CHANGED:
            return replace(earlier, reason="another")
        known = list(self.model.organizations[org_id].contents) if draft.org in ORGANIZATIONS else []
        key = self.new_key(draft)
        if known and draft.identity is Identity.ELSEWHERE:
            key = known[-1]
        if draft.target is Target.OWN:
            target = key
        elif draft.target is Target.SAME and earlier:
            target = earlier.target
        elif draft.target is Target.KNOWN and known:
            target = known[-min(draft.back, len(known))]
        else:
            target = next(self.keys)
            self.promised.append((org_id, target))
        void = Void(org_id, key, target, refusal="future_time" if draft.future else None)
        self.voids.append(void)
        return void

    def new_key(self, draft: Draft | VoidDraft) -> str:
        """A key of its own, or one that a void has named before."""
        promised = [key for org_id, key in self.promised if org_id == self.prefix + draft.org]
        # Most voids leave it to an event.
        if not promised or draft.back == 1 or (isinstance(draft, VoidDraft) and draft.back < 7):
            return next(self.keys)
        self.promised.remove((self.prefix + draft.org, promised[0]))
        return promised[0]

    def event(self, draft: Draft) -> Event:
        if draft.identity is Identity.NEW or not self.published:
            new = Event(
                self.prefix + draft.org,
                self.new_key(draft),
                draft.user_id,
                draft.service,
                draft.credits,
                draft.given,
                refusal=draft.refusal,
            )
            self.published.append(new)
            return new
        earlier = self.published[-min(draft.back, len(self.published))]
        changes: dict[str, Any] = {}
        match draft.identity:
            case Identity.REPRICED if not (earlier.given or earlier.refusal):
                changes = {"credits": draft.credits}
            case Identity.OVERFLOWN if not (earlier.given or earlier.refusal):
                changes = {"credits": None, "refusal": "amount_overflow"}
            case Identity.EXTENDED:
                changes = {"extended": True}
            case Identity.CHANGED:
                same_user = draft.user_id == earlier.user_id
                changes = {"request_id": "changed"} if same_user else {"user_id": draft.user_id}
            case Identity.ELSEWHERE:
                changes = {"org_id": self.prefix + draft.org}
        return replace(earlier, **changes)

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
        self.both(Settle(self.batch(drafted)))

    @rule(drafted=drafts)
    def settle_a_batch_of_the_worker(self, drafted: list[Draft]) -> None:
        self.both(SettleByWorker(self.batch(drafted)))

    @rule(drafted=void_drafts)
    def take_back(self, drafted: list[VoidDraft]) -> None:
        self.both(SettleByWorker(tuple(self.void(draft) for draft in drafted)))

    @rule(drafted=st.lists(st.one_of(a_draft, a_draft, a_void_draft), min_size=1, max_size=20))
    def settle_a_mixed_batch(self, drafted: list[Draft | VoidDraft]) -> None:
        self.both(SettleByWorker(self.mixed(drafted)))

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
        steps: list[Step] = [Settle(self.batch(held)), *self.workers(batches)]
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
        first: list[Step] = [TakeBack(tuple(map(self.void, voids)))]
        # By hand, so that it can hold its locks while the others begin.
        second: list[Step] = [Settle(self.batch(batches[0])), *self.workers(batches[1:])]
        steps = [*first, *second] if voids_first else [*second, *first]
        steps += [TakeBack(tuple(map(self.void, drafted))) for drafted in others]
        self.at_the_same_time(steps)

    def workers(self, batches: list[list[Draft]]) -> list[Step]:
        """One by a worker, the next by hand."""
        return [
            (Settle if number % 2 else SettleByWorker)(self.batch(drafted))
            for number, drafted in enumerate(batches)
        ]

    def at_the_same_time(self, steps: list[Step]) -> None:
        """Any answers and balances will do that the steps give in some order, one after the other."""
        answers, self.found = self.run(
            self.database.do_at_the_same_time(steps, list(self.model.organizations))
        )
        for order in permutations(range(len(steps))):
            model = self.model.copy()
            if (
                all(steps[number].on_model(model) == answers[number] for number in order)
                and state_of(model) == self.found
            ):
                self.model, self.latest, self.steps = model, steps, self.steps + 1
                return
        one_by_one = self.model.copy()
        expected = [step.on_model(one_by_one) for step in steps]
        different = differences(self.found, state_of(one_by_one))
        pytest.fail(f"{steps}\nanswered {answers}\nin order {expected}\n" + "\n".join(different))

    @invariant()
    def database_equals_model(self) -> None:
        if self.found:
            different = differences(self.found, state_of(self.model))
            assert different == [], f"{self.latest}\n" + "\n".join(different)

    def teardown(self) -> None:
        # An allocation that became active after its time had come must not be found due by the next example.
        self.run(self.database.do(Reset(()), []))


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
