"""Settlement as a dictionary and a loop: obviously right, and what the database is held to.

Credits are whole millionths throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from tests.settlement_events import Event, Void

#: How many unfunded events a top-up examines itself. Here so few that examples reach it.
FUNDING_STEP = 3


@dataclass(frozen=True, slots=True)
class Allocation:
    allocated: int
    active: bool = True
    used: int = 0
    reset_period: str = "never"
    period_no: int = 1
    #: Whether the time of its reset has come.
    due: bool = False

    @property
    def remaining(self) -> int:
        return max(self.allocated - self.used, 0)


class Entry(NamedTuple):
    """One row of the ledger; user of the allocation that it was taken from, and the period of that."""

    key: str
    entry: int
    outcome: str
    reason: str | None
    credits: int
    user_id: str
    source: str
    allocation: str | None
    period_no: int | None
    #: Of a void the event, of what takes an event back the void.
    counterpart: str | None = None


class Open(NamedTuple):
    """An event that is unfunded or unpriced now, and the number that it got."""

    open_no: int
    first: Entry


@dataclass
class Organization:
    org_id: str
    total: int = 0
    used: int = 0
    overage: int = 0
    overage_billed: int = 0
    unfunded: int = 0
    allow_overage: bool = False
    overage_limit: int = 0
    allocation_required: bool = True
    closed: bool = False
    last_open_no: int = 0
    #: Open events up to this one were examined since credits last came in; None: nothing waits.
    cursor: int | None = None
    allocations: dict[str, Allocation] = field(default_factory=dict)
    contents: dict[str, tuple[object, ...]] = field(default_factory=dict)
    ledger: list[Entry] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    #: Voids that came before their events, by the key of the event.
    pending: dict[str, str] = field(default_factory=dict)

    def copy(self) -> Organization:
        return replace(
            self,
            allocations=dict(self.allocations),
            contents=dict(self.contents),
            ledger=list(self.ledger),
            open=list(self.open),
            pending=dict(self.pending),
        )

    @property
    def available(self) -> int:
        return self.total - self.used

    def promised(self) -> int:
        return sum(a.remaining for a in self.allocations.values() if a.active)

    def active_allocation(self, user_id: str) -> Allocation | None:
        allocation = self.allocations.get(user_id)
        return allocation if allocation and allocation.active else None

    def decide(self, user_id: str, credits: int) -> tuple[str, str | None]:  # noqa: PLR0911
        """Steps 2 to 4 of "What a charge means"."""
        allocation = self.active_allocation(user_id)
        if credits == 0:
            return "charged", None
        if self.closed:
            return "unfunded", "organization_closed"
        if allocation is None and self.allocation_required:
            return "unfunded", "no_allocation"
        if allocation is not None and allocation.remaining < credits:
            return "unfunded", "allocation_exhausted"
        if self.available >= credits:
            return "charged", None
        if self.allow_overage and self.overage - self.overage_billed + credits <= self.overage_limit:
            return "overage", None
        return "unfunded", "pool_exhausted"

    def write(self, entry: Entry) -> None:
        """Add a row to the ledger and its credits to the balances of its outcome."""
        self.ledger.append(entry)
        if entry.outcome == "charged":
            self.used += entry.credits
        elif entry.outcome == "overage":
            self.overage += entry.credits
        elif entry.outcome == "unfunded":
            self.unfunded += entry.credits
        if entry.outcome in {"charged", "overage"} and entry.allocation is not None:
            allocation = self.allocations[entry.allocation]
            if entry.period_no == allocation.period_no:
                self.allocations[entry.allocation] = replace(allocation, used=allocation.used + entry.credits)

    def entry(self, like: Entry, entry: int, outcome: str, reason: str | None) -> Entry:
        """A row that says what happens to an event now."""
        allocation = self.active_allocation(like.user_id)
        return like._replace(
            entry=entry,
            outcome=outcome,
            reason=reason,
            allocation=None if allocation is None else like.user_id,
            period_no=None if allocation is None else allocation.period_no,
        )

    def settle(self, event: Event) -> tuple[str, str | None, int]:
        """The one outcome of an event: outcome, reason, credits of what was written."""
        if event.refusal == "future_time":
            return "refused", "future_time", 0
        if event.key in self.contents:
            same = self.contents[event.key] == event.content
            return "duplicate" if same else "conflict", None, 0
        if event.refusal is not None:
            return "refused", event.refusal, 0
        credits = event.credits or 0
        outcome, reason = ("unpriced", None) if event.credits is None else self.decide(event.user_id, credits)
        bare = Entry(event.key, 0, outcome, reason, credits, event.user_id, event.source, None, None)
        first = self.entry(bare, 0, outcome, reason)
        self.contents[event.key] = event.content
        self.write(first)
        if outcome in {"unfunded", "unpriced"}:
            self.last_open_no += 1
            self.open.append(Open(self.last_open_no, first))
        if event.key in self.pending:
            self.take_back(event.key, self.pending.pop(event.key))
        return outcome, reason, credits

    def settle_void(self, void: Void) -> tuple[str, str | None, int]:
        """Step 7: recorded under its own key, once; takes back what is there, or waits for it."""
        if void.refusal is not None:
            return "refused", void.refusal, 0
        if void.key in self.contents:
            return "duplicate" if self.contents[void.key] == void.content else "conflict", None, 0
        if void.target == void.key or self.contents.get(void.target, ("", ""))[0] == "void":
            return "refused", "void_of_void", 0
        self.contents[void.key] = void.content
        self.ledger.append(Entry(void.key, 0, "void", None, 0, "-", void.source, None, None, void.target))
        self.pending.pop(void.key, None)
        if not self.take_back(void.target, void.key):
            self.pending.setdefault(void.target, void.key)
        return "void", None, 0

    def take_back(self, key: str, void_key: str) -> bool:
        """Reverse what is outstanding of an event, unless that was done; whether it is known."""
        entries = [entry for entry in self.ledger if entry.key == key]
        if not entries:
            return False
        present = entries[-1]
        if present.outcome == "void" or present.counterpart is not None:
            return True
        self.write(present._replace(entry=present.entry + 1, credits=-present.credits, counterpart=void_key))
        self.overage_billed = min(self.overage_billed, self.overage)
        self.open = [each for each in self.open if each.first.key != key]
        if present.outcome in {"charged", "overage"} and present.credits > 0 and self.unfunded > 0:
            self.cursor = 0
        return True

    def request_funding(self) -> int:
        """Credits came in: begin with the events that were unfunded first."""
        if self.unfunded > 0:
            self.cursor = 0
        return self.fund(FUNDING_STEP)

    def fund(self, limit: int) -> int:
        """Settle unfunded events in the order in which they were recorded; pass over what does not fit."""
        if self.cursor is None:
            return 0
        waiting = [
            each for each in self.open if each.first.outcome == "unfunded" and each.open_no > self.cursor
        ]
        funded = 0
        for each in waiting[:limit]:
            outcome, _ = self.decide(each.first.user_id, each.first.credits)
            if outcome != "unfunded":
                self.write(each.first._replace(entry=1, credits=-each.first.credits))
                self.write(self.entry(each.first, 2, outcome, None))
                self.open.remove(each)
                funded += 1
        self.cursor = waiting[limit - 1].open_no if len(waiting) >= limit else None
        return funded

    def reset(self) -> int:
        """Begin a new period of every active allocation whose time has come."""
        if self.closed:
            return 0
        due = [
            user_id
            for user_id, allocation in self.allocations.items()
            if allocation.active and allocation.due
        ]
        for user_id in due:
            allocation = self.allocations[user_id]
            self.allocations[user_id] = replace(
                allocation, used=0, period_no=allocation.period_no + 1, due=False
            )
        if due and self.unfunded > 0:
            self.cursor = 0
        return len(due)


@dataclass
class Model:
    organizations: dict[str, Organization] = field(default_factory=dict)

    def copy(self) -> Model:
        return Model({org_id: each.copy() for org_id, each in self.organizations.items()})

    def settle(self, batch: tuple[Event | Void, ...]) -> list[tuple[str, str | None, int]]:
        return [self._settle_one(each) for each in batch]

    def _settle_one(self, event: Event | Void) -> tuple[str, str | None, int]:
        organization = self.organizations.get(event.org_id)
        if organization is None:
            return "refused", "unknown_organization", 0
        return organization.settle_void(event) if isinstance(event, Void) else organization.settle(event)
