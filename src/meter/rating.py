"""What a usage event costs: the price book, the plan, and the cost a provider charged."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from meter.credits import CREDITS_PER_USD, add, multiply, round_credits
from meter.events import KeySource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meter.events import UsageData, UsageEvent

#: Price units that are not the name of a number in the metadata.
UNIT_QUANTITY: Final = "quantity"
UNIT_API_COST: Final = "api_cost"

#: What a plan charges on a provider's cost unless it says otherwise.
COST_MARKUP: Final = Decimal("1.5")
_NOTHING: Final = Decimal("0.000000")


class PlanName(StrEnum):
    """The plans an organization can subscribe to."""

    PLATFORM = "platform"
    BYOK = "byok"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a subscription means for rating.

    Attributes:
        name: decides whose provider key is the default, and whether usage on one's own is charged.
        cost_markup: factor on what a provider charged, where usage is rated by cost.
    """

    name: PlanName
    cost_markup: Decimal = COST_MARKUP

    @property
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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Rating:
    """What an event costs.

    Attributes:
        credits: six places, rounded half up once; None where there is no price: unpriced is never free.
        key_source: whose provider key was used, after the default of the plan.
        markup: the factor applied to the provider's cost; None where the event is not rated by cost.
    """

    credits: Decimal | None
    key_source: KeySource
    markup: Decimal | None = None


def rate(event: UsageEvent, prices: PriceBook, plan: Plan) -> Rating:
    """Price one usage event.

    Credits that the event brings count before everything; then the plan lets usage on the organization's own
    key pass; then the price book counts; then the provider's cost.

    Args:
        event: the usage.
        prices: the price book in force.
        plan: the organization's plan at ``event.time``.

    Returns:
        The credits, and what they rest on.

    Raises:
        AmountOverflow: the credits have more than fourteen integer digits.

    Source: DESIGN.md, "What a charge means", step 1.
    """
    usage = event.data
    key_source = usage.key_source or plan.default_key_source
    if usage.credits is not None:
        return Rating(round_credits(usage.credits), key_source)
    if plan.passes_through(key_source):
        return Rating(_NOTHING, key_source)
    listed = prices.lookup(usage.service_type, usage.service_name)
    counted = _counted(usage, listed)
    if counted is not None:
        return Rating(round_credits(counted), key_source)
    if usage.api_cost is not None:
        cost = multiply(usage.api_cost, plan.cost_markup)
        return Rating(round_credits(multiply(cost, CREDITS_PER_USD)), key_source, plan.cost_markup)
    return Rating(None, key_source)


def _counted(usage: UsageData, prices: tuple[Price, ...]) -> Decimal | None:
    """Add up the prices whose unit the event has; None where it has none of them."""
    total: Decimal | None = None
    for price in prices:
        units = usage.quantity if price.unit == UNIT_QUANTITY else _number(usage.metadata.get(price.unit))
        if price.unit == UNIT_API_COST or units is None:
            continue
        amount = multiply(units, price.credits_per_unit)
        total = amount if total is None else add(total, amount)
    return total


def _number(value: object) -> Decimal | None:
    """Read a count from the metadata; what is no number, or negative, counts as absent."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value < 0:
        return None
    return Decimal(value)
