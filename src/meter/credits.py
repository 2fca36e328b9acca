"""Credit arithmetic: exact, with six places, rounded half up, once.

Amounts that people write and read are decimals; what is computed with in bulk is their count of millionths,
because whole numbers are exact and ten times as fast.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import TYPE_CHECKING

from meter.errors import AmountOutOfRange, AmountOverflow, NotAnAmount

if TYPE_CHECKING:
    from fractions import Fraction

#: What one credit is worth, in USD.
USD_PER_CREDIT = Decimal("0.001")
#: The same the other way round: multiplying is exact where dividing would have to round.
CREDITS_PER_USD = 1 / USD_PER_CREDIT

#: One more than the largest amount: fourteen integer digits, what ``NUMERIC(20,6)`` holds.
AMOUNT_LIMIT = Decimal(10) ** 14
#: The smallest step of an amount.
AMOUNT_STEP = Decimal("0.000001")

#: Wide enough for the product of any amount (20 digits) and any number that 8 KiB of metadata can spell, so
#: that nothing is rounded before `round_credits` does it, once. Fewer digits cost nothing extra.
EXACT = Context(prec=10_000, rounding=ROUND_HALF_UP, traps=[InvalidOperation])
_quantize = EXACT.quantize
_ZERO = Decimal(0)

#: Steps of an amount in one.
MILLION = 1_000_000
_HALF_STEP = MILLION // 2
_MILLIONTHS_LIMIT = 10**14 * MILLION

#: JSON's notation of a number that is not negative; ``[0-9]`` because ``\d`` would take any script's digits.
AMOUNT_PATTERN = r"^(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_is_amount = re.compile(AMOUNT_PATTERN.removesuffix("$")).fullmatch


def exact_amount(value: Decimal) -> Decimal:
    """Hold a decimal to the limits of an amount, by value: ``1.0000000`` is 1 and ``1E+2`` is 100.

    Args:
        value: an amount of credits, USD or units.

    Returns:
        The same value with exactly six places; minus zero becomes zero.

    Raises:
        AmountOutOfRange: negative, not finite, or more than fourteen integer digits or six decimal places.
    """
    try:
        if _ZERO <= value < AMOUNT_LIMIT:
            stepped = _quantize(value, AMOUNT_STEP)
            if stepped == value:
                return stepped.copy_abs()
            raise AmountOutOfRange("must have at most six decimal places")
    except InvalidOperation:
        raise AmountOutOfRange("must be a finite number") from None
    if value < 0:
        raise AmountOutOfRange("must not be negative")
    raise AmountOutOfRange("must have at most fourteen integer digits")


def parse_amount(text: str) -> Decimal:
    """Read an amount from a string in JSON's notation: no sign, blank, underscore or other digits.

    Args:
        text: for instance ``"12.5"`` or ``"1e2"``.

    Returns:
        The amount, with exactly six places.

    Raises:
        NotAnAmount: the string is no such number.
        AmountOutOfRange: the number is outside the limits of an amount.
    """
    if not _is_amount(text):
        if _is_amount(text.removeprefix("-")):
            raise AmountOutOfRange("must not be negative")
        raise NotAnAmount("must be a number in plain decimal notation")
    try:
        return exact_amount(Decimal(text))
    except InvalidOperation:  # an exponent of more than eighteen digits
        raise AmountOutOfRange("must be a number with a smaller exponent") from None


def millionths(value: Decimal) -> int:
    """Count the smallest steps of an amount.

    Args:
        value: an amount with at most six decimal places.

    Returns:
        How many times `AMOUNT_STEP` it is.
    """
    return int(EXACT.scaleb(value, 6))


def format_amount(value: Decimal) -> str:
    """Write an amount the way it travels in JSON: plain notation, no exponent, no trailing zeros.

    Args:
        value: any finite decimal; signed in the ledger.

    Returns:
        For instance ``"12.5"``, ``"0.000001"``, ``"0"``.
    """
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def rounded_millionths(value: int | Fraction) -> int:
    """Round credits half up at the sixth place; the one place where an amount is rounded.

    Args:
        value: millionths of a millionth of a credit, not negative: the product of two amounts of six places.

    Returns:
        Millionths of a credit.

    Raises:
        AmountOverflow: more than fourteen integer digits are left after rounding.
    """
    rounded = (value + _HALF_STEP) // MILLION
    if rounded >= _MILLIONTHS_LIMIT:
        raise AmountOverflow
    return rounded


def amount_of(count: int) -> Decimal:
    """Turn millionths back into an amount.

    Args:
        count: whole millionths.

    Returns:
        The amount, with exactly six places.
    """
    return Decimal(count).scaleb(-6, EXACT)


def add(left: Decimal, right: Decimal) -> Decimal:
    """Add exactly, whatever precision the caller's decimal context has.

    Args:
        left: one addend.
        right: the other.

    Returns:
        The unrounded sum.
    """
    return EXACT.add(left, right)
