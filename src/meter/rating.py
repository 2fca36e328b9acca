"""What a usage event costs: the price book, the plan, and the cost a provider charged."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from meter.credits import CREDITS_PER_USD, MILLION, millionths, rounded_millionths
from meter.events import KeySource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.events import Usage

#: Price units that are not the name of a number in the metadata.
UNIT_QUANTITY: Final = "quantity"
UNIT_API_COST: Final = "api_cost"

#: What a plan charges on a provider's cost unless it says otherwise.
COST_MARKUP: Final = Decimal("1.5")


class PlanName(StrEnum):
    """The plans an organization can subscribe to."""

    PLATFORM = "platform"
    BYOK = "byok"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Plan:
    """What a subscription means for rating.

    Attributes:
        name: decides whose provider key is the default, and whether usage on one's own is charged.
        cost_markup: factor on what a provider charged, where usage is rated by cost.
    """

    name: PlanName
    cost_markup: Decimal = COST_MARKUP

    @cached_property
    def markup_millionths(self) -> int:
        """The markup as whole millionths."""
        return millionths(self.cost_markup)

    @cached_property
    def default_key_source(self) -> KeySource:
        """Whose provider key was used where the event does not say."""
        return KeySource.BYOK if self.name is PlanName.BYOK else KeySource.PLATFORM

    def passes_through(self, key_source: KeySource) -> bool:
        """Tell whether usage on such a key is recorded and not charged.

        Args:
            key_source: whose provider key was used.

        Returns:
            True on the organization's own key, unless the plan charges everything.
        """
        return key_source is KeySource.BYOK and self.name is not PlanName.PLATFORM


#: How an organization without a live subscription is rated.
DEFAULT_PLAN: Final = Plan(PlanName.PLATFORM)


@dataclass(frozen=True)
class Price:
    """One line of the price book; a service may have several, which add up.

    Attributes:
        service_type: the service.
        service_name: the model, provider or variant; None for any that has no price of its own.
        unit: what is counted: `UNIT_QUANTITY`; `UNIT_API_COST` for usage rated by cost; else the name of a
            number in the event's metadata, such as ``input_tokens``.
        credits_per_unit: credits for one of them; not looked at where the unit is the cost.
    """

    service_type: str
    service_name: str | None
    unit: str
    credits_per_unit: Decimal

    @cached_property
    def millionths_per_unit(self) -> int:
        """The price as whole millionths."""
        return millionths(self.credits_per_unit)


class PriceBook:
    """The prices in force."""

    __slots__ = ("_prices",)

    def __init__(self, prices: Iterable[Price]) -> None:
        """Sort prices by service.

        Args:
            prices: at most one for each service and unit.
        """
        by_service: dict[tuple[str, str | None], tuple[Price, ...]] = {}
        for price in prices:
            service = (price.service_type, price.service_name)
            by_service[service] = (*by_service.get(service, ()), price)
        self._prices = by_service

    def lookup(self, service_type: str, service_name: str | None) -> tuple[Price, ...]:
        """Find what a service costs.

        Args:
            service_type: the service.
            service_name: the model, provider or variant.

        Returns:
            The prices of exactly this service name, else those of the service type; empty without any.
        """
        exact = self._prices.get((service_type, service_name))
        return self._prices.get((service_type, None), ()) if exact is None else exact


class Rating(msgspec.Struct, frozen=True, gc=False):
    """What an event costs.

    Attributes:
        credits: millionths of a credit, rounded half up once; None where there is no price: unpriced is never
            free.
        key_source: whose provider key was used, after the default of the plan.
        markup: millionths, the factor applied to the provider's cost; None where the event is not rated by
            cost.
    """

    credits: int | None
    key_source: KeySource
    markup: int | None = None


def rate(usage: Usage, prices: PriceBook, plan: Plan) -> Rating:
    """Price one usage event.

    Credits that the event brings count before everything; then the plan lets usage on the organization's own
    key pass; then the price book counts; then the provider's cost.

    Args:
        usage: the usage.
        prices: the price book in force.
        plan: the organization's plan when it happened.

    Returns:
        The credits, and what they rest on.

    Raises:
        AmountOverflow: the credits have more than fourteen integer digits.

    Source: DESIGN.md, "What a charge means", step 1.
    """
    key_source = usage.key_source or plan.default_key_source
    if usage.credits is not None:
        return Rating(usage.credits, key_source)
    if plan.passes_through(key_source):
        return Rating(0, key_source)
    counted = _counted(usage, prices.lookup(usage.service_type, usage.service_name))
    if counted is not None:
        return Rating(rounded_millionths(counted), key_source)
    if usage.api_cost is not None:
        cost = usage.api_cost * plan.markup_millionths * int(CREDITS_PER_USD)
        return Rating(rounded_millionths(cost), key_source, plan.markup_millionths)
    return Rating(None, key_source)


def _counted(usage: Usage, prices: tuple[Price, ...]) -> int | Fraction | None:
    """Add up the prices whose unit the event has, in millionths of a millionth; None where it has no unit."""
    total: int | Fraction | None = None
    for price in prices:
        units = (
            usage.quantity if price.unit == UNIT_QUANTITY else _millionths_of(usage.numbers.get(price.unit))
        )
        if price.unit == UNIT_API_COST or units is None:
            continue
        amount = units * price.millionths_per_unit
        total = amount if total is None else total + amount
    return total


def _millionths_of(value: object) -> int | Fraction | None:
    """Read a count from the metadata; what is no number, or negative, counts as absent."""
    if type(value) is int:
        return value * MILLION if value >= 0 else None
    if isinstance(value, Decimal) and value >= 0:
        # As fine as 1e-324: only a fraction holds a product of that exactly.
        return Fraction(value) * MILLION
    return None
