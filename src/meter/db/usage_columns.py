"""A batch of usage as columns, rated and sorted: what ``settle_usage_columns`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from meter.errors import AmountOverflow
from meter.events import KeySource, RefusalReason
from meter.rating import Rating, rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from meter.db.rating_data import RatingData
    from meter.events import Usage

#: Between the elements of a column that travels as one text, and instead of a null among them. JSON and ids
#: seldom hold such characters; a batch in which one does travels as arrays.
SEPARATOR: Final = "\x1f"
NULL: Final = "\x1e"

#: Ends an organization's id where events are sorted: nothing that an id can hold sorts before it.
_END_OF_ID: Final = "\x00"

#: Of an event that costs more than an amount can be; never written.
_OVERFLOWN: Final = Rating(None, KeySource.PLATFORM)

_T = TypeVar("_T")

#: What the events of a kind have in common, in the order of the SQL type.
_Kind = tuple[str, str, str | None, int, KeySource, bool, bool, tuple[str, ...] | None]

#: One column: an element an organization, account, kind or event.
Column = list[str | None]


def usage_columns(events: Sequence[Usage], rating: RatingData) -> tuple[list[Column], list[int | None]]:
    """Rate a batch and lay it out.

    Args:
        events: the batch, in the order in which it is to be settled.
        rating: knows the plans of all their organizations.

    Returns:
        The fields of the SQL type ``usage_columns`` in its order, as text; and, in the order of the batch,
        the millionths of a credit that each event was rated at, None where it has no price.
    """
    rated = [_rated(event, rating) for event in events]
    sort_keys = [event.org_id + _END_OF_ID + event.key for event in events]
    # The sort is stable: of several events with the same key the earliest stays first.
    order = sorted(range(len(events)), key=sort_keys.__getitem__)
    ordered = [events[index] for index in order]
    ratings = [rated[index] for index in order]
    accounts = _Numbers((event.org_id, event.user_id) for event in ordered)
    organizations = _Numbers(org_id for org_id, _user in accounts.distinct)
    kinds = _Numbers(map(_kind, ordered, ratings))
    columns: list[Column] = [
        list(organizations.distinct),
        organizations.numbers,
        [user_id for _org, user_id in accounts.distinct],
        *map(list, zip(*map(_kind_as_text, kinds.distinct), strict=True)),
        [str(index + 1) for index in order],
        accounts.numbers,
        kinds.numbers,
        [event.key for event in ordered],
        [event.event_id for event in ordered],
        [_amount(rating.credits) for rating in ratings],
        [_amount(event.api_cost) for event in ordered],
        [_amount(rating.markup) for rating in ratings],
        [event.request_id for event in ordered],
        [event.metadata for event in ordered],
        [event.time for event in ordered],
        [RefusalReason.AMOUNT_OVERFLOW.value if rating is _OVERFLOWN else None for rating in ratings],
    ]
    return columns, [rating.credits for rating in rated]


def _rated(event: Usage, rating: RatingData) -> Rating:
    try:
        return rate(event, rating.prices, rating.plan(event))
    except AmountOverflow:
        # Whether it is a duplicate of something that fitted once is for the database to say.
        return _OVERFLOWN


class _Numbers(Generic[_T]):
    """What is distinct among many, and for each its number, from 1, as text."""

    __slots__ = ("distinct", "numbers")

    def __init__(self, elements: Iterable[_T]) -> None:
        numbers: dict[_T, str] = {}
        known = numbers.get
        self.numbers: list[str | None] = [
            known(element) or numbers.setdefault(element, str(len(numbers) + 1)) for element in elements
        ]
        self.distinct: list[_T] = list(numbers)


def _kind(event: Usage, rating: Rating) -> _Kind:
    return (
        event.source,
        event.service_type,
        event.service_name,
        event.quantity,
        event.key_source or rating.key_source,
        event.credits is not None,
        event.key_source is not None,
        event.folded,
    )


def _kind_as_text(kind: _Kind) -> tuple[str | None, ...]:
    source, service_type, service_name, quantity, key_source, credits_given, key_source_given, folded = kind
    return (
        source,
        service_type,
        service_name,
        _amount(quantity),
        key_source,
        _boolean(credits_given),
        _boolean(key_source_given),
        None if folded is None else _array_literal(folded),
    )


def _amount(millionths: int | None) -> str | None:
    return None if millionths is None else f"{millionths}e-6"


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _array_literal(names: Sequence[str]) -> str:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"


def joined(column: Column) -> str | None:
    """Write a column as one text, which costs a fifth of an array on this side.

    Args:
        column: its elements, at least one.

    Returns:
        The elements with `SEPARATOR` between them and `NULL` in place of None; None where all are None.

    Raises:
        ValueError: an element holds such a character, or the only one is empty.
    """
    nulls = column.count(None)
    if nulls == len(column):
        return None
    text = SEPARATOR.join([NULL if element is None else element for element in column])
    if not text or text.count(SEPARATOR) != len(column) - 1 or text.count(NULL) != nulls:
        raise ValueError("the elements could not be told apart")
    return text
