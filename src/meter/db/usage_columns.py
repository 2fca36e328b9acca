"""A batch of usage as columns, rated and sorted: what ``settle_usage_columns`` takes."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final, TypeVar

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

#: One column: an element an organization, account, kind or event. What holds nothing but numbers or keys is a
#: text already.
Column = list[str | None] | str | None

_ACCOUNT: Final = attrgetter("org_id", "user_id")
_CONTENT: Final = attrgetter("source", "service_type", "service_name", "quantity", "key_source", "folded")
_KEY_SOURCE: Final = attrgetter("key_source")

#: What the events of a kind have in common: their content, whose key was used, whether they bring credits.
_Kind = tuple[
    tuple[str, str, str | None, int, KeySource | None, tuple[str, ...] | None], KeySource | None, bool
]


def usage_columns(
    events: Sequence[Usage], rating: RatingData | None
) -> tuple[list[Column], list[int | None]]:
    """Rate a batch and lay it out.

    Args:
        events: the batch, in the order in which it is to be settled.
        rating: knows the plans of all their organizations; None where the batch is not to be rated, which is
            enough to find out whether it is known.

    Returns:
        The fields of the SQL type ``usage_columns`` in its order, as text; and, in the order of the batch,
        the millionths of a credit that each event is settled at, None where it has no price.
    """
    sort_keys = [f"{event.org_id}{_END_OF_ID}{event.key}" for event in events]
    # The sort is stable: of several events with the same key the earliest stays first.
    order = sorted(range(len(events)), key=sort_keys.__getitem__)
    ordered = [events[index] for index in order]
    key_sources: Iterable[KeySource | None]
    markups: list[int | None] = []
    refusals: Column = None
    if rating is None:
        charged = [event.credits for event in events]
        key_sources = map(_KEY_SOURCE, ordered)
    else:
        rated = [_rated(event, rating) for event in events]
        charged = [each.credits for each in rated]
        ratings = [rated[index] for index in order]
        key_sources = map(_KEY_SOURCE, ratings)
        markups = [each.markup for each in ratings]
        refusals = [RefusalReason.AMOUNT_OVERFLOW.value if each is _OVERFLOWN else None for each in ratings]
    accounts: _Numbers[tuple[str, str]] = _Numbers()
    account_numbers = _numbers(map(accounts.__getitem__, map(_ACCOUNT, ordered)))
    organizations: _Numbers[str] = _Numbers()
    account_organizations = _numbers([organizations[org_id] for org_id, _user in accounts])
    kinds: _Numbers[_Kind] = _Numbers()
    credits_given = [event.credits is not None for event in ordered]
    kind_numbers = _numbers(
        map(kinds.__getitem__, zip(map(_CONTENT, ordered), key_sources, credits_given, strict=True))
    )
    columns: list[Column] = [
        list(organizations),
        account_organizations,
        [user_id for _org, user_id in accounts],
        *map(list, zip(*map(_kind_as_text, kinds), strict=True)),
        _numbers(map(_places(len(events)).__getitem__, order)),
        account_numbers,
        kind_numbers,
        SEPARATOR.join([event.key for event in ordered]),
        [event.event_id for event in ordered],
        _amounts([charged[index] for index in order]),
        _amounts([event.api_cost for event in ordered]),
        _amounts(markups),
        [event.request_id for event in ordered],
        [event.metadata for event in ordered],
        [event.time for event in ordered],
        refusals,
    ]
    return columns, charged


def _rated(event: Usage, rating: RatingData) -> Rating:
    try:
        return rate(event, rating.prices, rating.plan(event))
    except AmountOverflow:
        # Whether it is a duplicate of something that fitted once is for the database to say.
        return _OVERFLOWN


class _Numbers(dict[_T, str]):
    """Numbers what is distinct, from 1 and as text, in the order in which it is asked for."""

    __slots__ = ()

    def __missing__(self, element: _T) -> str:
        number = self[element] = str(len(self) + 1)
        return number


#: The first numbers as text, as many as a batch had events so far.
_places_so_far: list[str] = []


def _places(count: int) -> Sequence[str]:
    if len(_places_so_far) < count:
        _places_so_far.extend(map(str, range(len(_places_so_far) + 1, count + 1)))
    return _places_so_far


def _numbers(numbers: Iterable[str]) -> str:
    return "{" + ",".join(numbers) + "}"


def _amounts(millionths: Sequence[int | None]) -> str | None:
    if millionths.count(None) == len(millionths):
        return None
    return _numbers(["NULL" if each is None else f"{each}e-6" for each in millionths])


def _kind_as_text(kind: _Kind) -> tuple[str | None, ...]:
    content, key_source, credits_given = kind
    source, service_type, service_name, quantity, key_source_given, folded = content
    return (
        source,
        service_type,
        service_name,
        f"{quantity}e-6",
        key_source_given or key_source,
        _boolean(credits_given),
        _boolean(key_source_given is not None),
        None if folded is None else _array_literal(folded),
    )


def _boolean(value: bool) -> str:
    return "t" if value else "f"


def _array_literal(names: Sequence[str]) -> str:
    quoted = (name.replace("\\", "\\\\").replace('"', '\\"') for name in names)
    return "{" + ",".join(f'"{name}"' for name in quoted) + "}"


def joined(column: Column) -> str | None:
    """Write a column as one text, which costs a fifth of an array on this side.

    Args:
        column: its elements, at least one; or a text already.

    Returns:
        The elements with `SEPARATOR` between them and `NULL` in place of None; None where all are None.

    Raises:
        ValueError: an element holds such a character, or the only one is empty.
    """
    if column is None or isinstance(column, str):
        return column
    nulls = 0
    try:
        text = SEPARATOR.join(column)  # type: ignore[arg-type] # most have no None, which is not looked for
    except TypeError:
        nulls = column.count(None)
        if nulls == len(column):
            return None
        text = SEPARATOR.join([NULL if element is None else element for element in column])
    if not text or text.count(SEPARATOR) != len(column) - 1 or text.count(NULL) != nulls:
        raise ValueError("the elements could not be told apart")
    return text
