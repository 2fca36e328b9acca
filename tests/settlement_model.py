"""Settlement as a dictionary and a loop: obviously right, and what the database is held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

ZERO = Decimal(0)


@dataclass(frozen=True)
class Event:
    """An event as it reaches settlement: rated, or without a price."""

    org_id: str
    key: str
    user_id: str
    credits: Decimal | None
    source: str = "model"
    given: bool = False

    @property
    def content(self) -> tuple[object, ...]:
        """What decides a conflict: what was published, not what rating made of it."""
        return (self.user_id, self.source, self.given, self.credits if self.given else None)


@dataclass
class Allocation:
    allocated: Decimal
    active: bool = True
    used: Decimal = ZERO

    @property
    def remaining(self) -> Decimal:
        return max(self.allocated - self.used, ZERO)


@dataclass
class Entry:
    """One row of the ledger."""

    outcome: str
    reason: str | None
    credits: Decimal
    allocated: bool


@dataclass
class Organization:
    total: Decimal = ZERO
    used: Decimal = ZERO
    overage: Decimal = ZERO
    unfunded: Decimal = ZERO
    allow_overage: bool = False
    overage_limit: Decimal = ZERO
    allocation_required: bool = True
    closed: bool = False
    allocations: dict[str, Allocation] = field(default_factory=dict)
    contents: dict[str, tuple[object, ...]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=dict)
    ledger: dict[str, list[Entry]] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    @property
    def available(self) -> Decimal:
        return self.total - self.used

    def promised(self) -> Decimal:
        return sum((a.remaining for a in self.allocations.values() if a.active), ZERO)

    def active_allocation(self, user_id: str) -> Allocation | None:
        allocation = self.allocations.get(user_id)
        return allocation if allocation and allocation.active else None

    def decide(self, user_id: str, credits: Decimal) -> tuple[str, str | None]:  # noqa: PLR0911
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
        if self.allow_overage and self.overage + credits <= self.overage_limit:
            return "overage", None
        return "unfunded", "pool_exhausted"

    def take(self, user_id: str, credits: Decimal, outcome: str) -> None:
        allocation = self.active_allocation(user_id)
        if outcome == "charged":
            self.used += credits
        elif outcome == "overage":
            self.overage += credits
        elif outcome == "unfunded":
            self.unfunded += credits
        if outcome in {"charged", "overage"} and allocation is not None:
            allocation.used += credits

    def settle(self, event: Event) -> tuple[str, str | None]:
        if event.key in self.contents:
            return ("duplicate" if self.contents[event.key] == event.content else "conflict"), None
        credits = event.credits or ZERO
        outcome, reason = ("unpriced", None) if event.credits is None else self.decide(event.user_id, credits)
        self.take(event.user_id, credits, outcome)
        self.contents[event.key] = event.content
        self.users[event.key] = event.user_id
        self.ledger[event.key] = [
            Entry(outcome, reason, credits, self.active_allocation(event.user_id) is not None)
        ]
        if outcome in {"unfunded", "unpriced"}:
            self.open.append(event.key)
        return outcome, reason

    def fund(self) -> int:
        """Settle what was unfunded, in the order in which it was recorded; pass over what does not fit."""
        funded = 0
        for key in [key for key in self.open if self.ledger[key][-1].outcome == "unfunded"]:
            first, user_id = self.ledger[key][-1], self.users[key]
            outcome, _ = self.decide(user_id, first.credits)
            if outcome == "unfunded":
                continue
            self.unfunded -= first.credits
            self.take(user_id, first.credits, outcome)
            allocated = self.active_allocation(user_id) is not None
            self.ledger[key] += [
                Entry("unfunded", first.reason, -first.credits, first.allocated),
                Entry(outcome, None, first.credits, allocated),
            ]
            self.open.remove(key)
            funded += 1
        return funded


@dataclass
class Model:
    organizations: dict[str, Organization] = field(default_factory=dict)

    def settle(self, batch: list[Event]) -> list[tuple[str, str | None]]:
        return [
            self.organizations[event.org_id].settle(event)
            if event.org_id in self.organizations
            else ("refused", "unknown_organization")
            for event in batch
        ]
