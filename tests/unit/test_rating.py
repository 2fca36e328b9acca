"""What usage costs, case by case: DESIGN.md, "What a charge means", step 1."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.malformed import usage

from meter.credits import amount_of, millionths
from meter.errors import AmountOverflow
from meter.events import KeySource, Usage, UsageEvent, usage_of
from meter.rating import (
    DEFAULT_PLAN,
    UNIT_API_COST,
    UNIT_QUANTITY,
    Plan,
    PlanName,
    Price,
    PriceBook,
    Rating,
    rate,
)

PLATFORM, BYOK, HYBRID = (Plan(name) for name in PlanName)

#: The seeded prices, and a few of the kinds that an operator can add.
PRICES = PriceBook(
    Price(service_type, service_name, unit, Decimal(credits_per_unit))
    for service_type, service_name, unit, credits_per_unit in [
        ("llm", None, "input_tokens", "0.003"),
        ("llm", None, "output_tokens", "0.015"),
        ("llm", "by-cost", UNIT_API_COST, "1"),
        ("company_enrichment", None, UNIT_QUANTITY, "50"),
        ("company_enrichment", "full", UNIT_QUANTITY, "100"),
        ("contact_lookup", None, UNIT_QUANTITY, "10"),
        ("bulk_export", None, UNIT_QUANTITY, "5"),
        ("free", None, UNIT_QUANTITY, "0"),
        ("call", None, UNIT_QUANTITY, "1"),
        ("call", None, "minutes", "0.5"),
        ("named_only", "a", UNIT_QUANTITY, "7"),
    ]
)


def event(**data: object) -> Usage:
    return usage_of(UsageEvent.model_validate(usage("acme", 1, data=data)))


def credits_of(**data: object) -> Decimal | None:
    credits = rate(event(**data), PRICES, PLATFORM).credits
    return None if credits is None else amount_of(credits)


def rated(credits: str, key_source: KeySource, markup: str | None = None) -> Rating:
    return Rating(
        millionths(Decimal(credits)), key_source, None if markup is None else millionths(Decimal(markup))
    )


@pytest.mark.parametrize(
    ("data", "credits"),
    [
        ({"service_type": "company_enrichment"}, "50"),
        ({"service_type": "company_enrichment", "service_name": "full"}, "100"),
        ({"service_type": "company_enrichment", "service_name": "other"}, "50"),
        ({"service_type": "company_enrichment", "service_name": ""}, "50"),
        ({"service_type": "bulk_export", "quantity": "2.5"}, "12.5"),
        ({"service_type": "bulk_export", "quantity": 0}, "0"),
        ({"service_type": "bulk_export", "quantity": "0.0000010"}, "0.000005"),
        ({"service_type": "free"}, "0"),
        ({"service_type": "named_only", "service_name": "a"}, "7"),
        # Several prices add up, and what an event does not count costs nothing.
        ({"service_type": "call", "quantity": 2, "metadata": {"minutes": 3}}, "3.5"),
        ({"service_type": "call", "quantity": 2}, "2"),
    ],
)
def test_the_price_book_rates_by_quantity(data: dict[str, object], credits: str) -> None:
    assert credits_of(**data) == Decimal(credits)


@pytest.mark.parametrize(
    ("metadata", "credits"),
    [
        ({"input_tokens": 1_000, "output_tokens": 100}, "4.5"),
        ({"input_tokens": 1}, "0.003"),
        ({"output_tokens": 1}, "0.015"),
        ({"input_tokens": 0, "output_tokens": 0}, "0"),
        ({"input_tokens": Decimal("1.5")}, "0.0045"),
        ({"input_tokens": Decimal("0.0001"), "output_tokens": Decimal("0.00001")}, "0"),
        ({"input_tokens": Decimal("0.0001"), "output_tokens": Decimal("0.0000134")}, "0.000001"),
        # What is no count is absent.
        ({"input_tokens": 10, "output_tokens": "many"}, "0.03"),
        ({"input_tokens": 10, "output_tokens": -5}, "0.03"),
        ({"input_tokens": 10, "output_tokens": True}, "0.03"),
        ({"input_tokens": 10, "output_tokens": None}, "0.03"),
        ({"input_tokens": 10, "output_tokens": [1]}, "0.03"),
        ({"input_tokens": "10"}, None),
        ({"input_tokens": -1, "output_tokens": False}, None),
        ({"tokens": 10}, None),
        ({}, None),
    ],
)
def test_llm_usage_is_rated_by_its_tokens(metadata: dict[str, object], credits: str | None) -> None:
    assert credits_of(service_type="llm", metadata=metadata) == (
        None if credits is None else Decimal(credits)
    )


@pytest.mark.parametrize(
    ("data", "credits"),
    [
        ({"service_type": "unknown"}, "123"),
        ({"service_type": "llm"}, "123"),
        ({"service_type": "llm", "metadata": {"input_tokens": "?"}}, "123"),
        ({"service_type": "llm", "service_name": "by-cost", "metadata": {"input_tokens": 5}}, "123"),
        ({"service_type": "llm", "service_name": "by-cost", "metadata": {"api_cost": 5}}, "123"),
        ({"service_type": "named_only", "service_name": "b"}, "123"),
    ],
)
def test_usage_without_a_price_is_rated_by_cost_and_markup(data: dict[str, object], credits: str) -> None:
    rating = rate(event(**data, api_cost="0.082"), PRICES, PLATFORM)

    assert rating == rated(credits, KeySource.PLATFORM, markup="1.5")


def test_cost_is_rounded_once_with_the_markup_of_the_plan() -> None:
    rating = rate(
        event(service_type="unknown", api_cost="0.000001"), PRICES, Plan(PlanName.PLATFORM, Decimal("1.0005"))
    )

    assert rating == rated("0.001001", KeySource.PLATFORM, markup="1.0005")


def test_a_price_comes_before_the_cost() -> None:
    assert rate(event(service_type="bulk_export", api_cost="9"), PRICES, PLATFORM) == rated(
        "5", KeySource.PLATFORM
    )


@pytest.mark.parametrize("plan", [PLATFORM, BYOK, HYBRID])
def test_usage_with_neither_credits_nor_price_nor_cost_is_unpriced_where_it_is_charged(plan: Plan) -> None:
    rating = rate(event(service_type="unknown", key_source="platform"), PRICES, plan)

    assert rating == Rating(None, KeySource.PLATFORM)


@pytest.mark.parametrize("plan", [PLATFORM, BYOK, HYBRID])
@pytest.mark.parametrize("key_source", ["platform", "byok", None])
def test_credits_of_the_event_are_charged_exactly(plan: Plan, key_source: str | None) -> None:
    usage_event = event(service_type="bulk_export", credits="0.123456", api_cost=1, key_source=key_source)

    rating = rate(usage_event, PRICES, plan)

    assert (rating.credits, rating.markup) == (123_456, None)


@pytest.mark.parametrize(
    ("plan", "given_source", "key_source", "credits"),
    [
        (PLATFORM, None, KeySource.PLATFORM, "5"),
        (PLATFORM, "platform", KeySource.PLATFORM, "5"),
        (PLATFORM, "byok", KeySource.BYOK, "5"),
        (BYOK, None, KeySource.BYOK, "0"),
        (BYOK, "byok", KeySource.BYOK, "0"),
        (BYOK, "platform", KeySource.PLATFORM, "5"),
        (HYBRID, None, KeySource.PLATFORM, "5"),
        (HYBRID, "byok", KeySource.BYOK, "0"),
        (HYBRID, "platform", KeySource.PLATFORM, "5"),
        (DEFAULT_PLAN, None, KeySource.PLATFORM, "5"),
    ],
)
def test_the_plan_decides_the_key_source_and_whether_usage_passes_through(
    plan: Plan,
    given_source: str | None,
    key_source: KeySource,
    credits: str,
) -> None:
    assert rate(event(service_type="bulk_export", key_source=given_source), PRICES, plan) == rated(
        credits, key_source
    )


def test_usage_that_passes_through_is_charged_nothing_though_it_cost_something() -> None:
    assert rate(event(service_type="unknown", api_cost=3), PRICES, BYOK) == rated("0", KeySource.BYOK)


@pytest.mark.parametrize(
    "data",
    [
        {"service_type": "company_enrichment", "quantity": "99999999999999"},
        {"service_type": "unknown", "api_cost": "99999999999999"},
        {"service_type": "llm", "metadata": {"input_tokens": 10**300}},
        {"service_type": "llm", "metadata": {"input_tokens": Decimal("1e308"), "output_tokens": 1}},
    ],
)
def test_an_amount_over_fourteen_digits_overflows(data: dict[str, object]) -> None:
    with pytest.raises(AmountOverflow):
        rate(event(**data), PRICES, PLATFORM)


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_token_prices_are_exact(input_tokens: int, output_tokens: int) -> None:
    credits = credits_of(
        service_type="llm", metadata={"input_tokens": input_tokens, "output_tokens": output_tokens}
    )

    assert credits is not None
    assert credits * 1_000 == 3 * input_tokens + 15 * output_tokens
