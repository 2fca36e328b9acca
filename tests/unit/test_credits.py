"""Amounts are exact, and rounded once."""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter.credits import (
    CREDITS_PER_USD,
    MILLION,
    add,
    amount_of,
    exact_amount,
    format_amount,
    millionths,
    parse_amount,
    rounded_millionths,
)
from meter.errors import AmountOutOfRange, AmountOverflow, NotAnAmount

amounts = st.decimals(min_value=0, max_value="99999999999999.999999", places=6)


@pytest.mark.parametrize(
    ("unrounded", "rounded"),
    [
        ("0.0000005", "0.000001"),
        ("0.00000049999999999999999999999999999999999", "0"),
        ("2.5000005", "2.500001"),
        ("99999999999999.9999994", "99999999999999.999999"),
        ("0", "0"),
    ],
)
def test_credits_are_rounded_half_up_at_the_sixth_place(unrounded: str, rounded: str) -> None:
    assert rounded_millionths(Fraction(unrounded) * MILLION * MILLION) == millionths(Decimal(rounded))


@pytest.mark.parametrize("amount", ["100000000000000", "99999999999999.9999995", "1e300"])
def test_more_than_fourteen_integer_digits_after_rounding_overflow(amount: str) -> None:
    with pytest.raises(AmountOverflow):
        rounded_millionths(Fraction(amount) * MILLION * MILLION)


@given(amounts, amounts)
def test_products_and_sums_are_exact_whatever_the_callers_context(left: Decimal, right: Decimal) -> None:
    with localcontext(prec=3):
        product, total = millionths(left) * millionths(right), add(left, right)

    assert Fraction(product, MILLION * MILLION) == Fraction(left) * Fraction(right)
    assert millionths(total) == millionths(left) + millionths(right)


@given(amounts)
def test_millionths_are_the_amount_again(amount: Decimal) -> None:
    assert amount_of(millionths(amount)) == amount
    assert amount_of(millionths(amount)).as_tuple().exponent == -6


@given(amounts)
def test_an_amount_survives_being_written_and_read(amount: Decimal) -> None:
    assert parse_amount(format_amount(amount)) == amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("12.500000", "12.5"),
        ("1E+2", "100"),
        ("100", "100"),
        ("0.000001", "0.000001"),
        ("-3.10", "-3.1"),
        ("-0", "0"),
        ("-0.000", "0"),
        ("0E+3", "0"),
    ],
)
def test_an_amount_is_written_in_plain_notation(amount: str, text: str) -> None:
    assert format_amount(Decimal(amount)) == text


@pytest.mark.parametrize(
    "text", ["", " 1", "1 ", "+1", ".5", "1.", "01", "1_0", "0x1", "NaN", "Infinity", "٣", "1\n", "--1"]
)
def test_a_text_that_is_no_plain_number_is_no_amount(text: str) -> None:
    with pytest.raises(NotAnAmount):
        parse_amount(text)


@pytest.mark.parametrize(
    "text", ["-1", "-0", "100000000000000", "0.0000001", "1e15", "1e-7", "1e999999999999999999999"]
)
def test_a_number_outside_the_limits_is_out_of_range(text: str) -> None:
    with pytest.raises(AmountOutOfRange):
        parse_amount(text)


@pytest.mark.parametrize("value", ["NaN", "sNaN", "Infinity", "-Infinity", "-0.000001"])
def test_a_decimal_that_is_no_amount_is_out_of_range(value: str) -> None:
    with pytest.raises(AmountOutOfRange):
        exact_amount(Decimal(value))


def test_a_credit_is_a_tenth_of_a_cent() -> None:
    assert CREDITS_PER_USD == 1_000
