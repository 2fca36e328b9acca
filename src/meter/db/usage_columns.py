"""A batch of usage as columns, rated and sorted: what ``settle_usage_columns`` takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from meter.errors import AmountOverflow
from meter.events import RefusalReason
from meter.rating import Rating, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.db.rating_data import RatingData
    from meter.events import Usage

#: Between the elements of a column that travels as one text, and instead of a null among them. JSON and ids
#: seldom hold such characters; a batch in which one does travels as arrays.
SEPARATOR: Final = "\x1f"
NULL: Final = "\x1e"

#: Ends an organization's id where events are sorted: nothing that an id can hold sorts before it.
_END_OF_ID: Final = "\x00"

_TRUE, _FALSE = "t", "f"

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
    layout = _Layout()
    credits: list[int | None] = [None] * len(events)
    sort_keys = [event.org_id + _END_OF_ID + event.key for event in events]
    # The sort is stable: of several events with the same key the earliest stays first.
    for index in sorted(range(len(events)), key=sort_keys.__getitem__):
        event = events[index]
        rated, refusal = _rated(event, rating)
        credits[index] = rated.credits
        layout.add(event, index + 1, rated, refusal)
    return layout.columns(), credits


def _rated(event: Usage, rating: RatingData) -> tuple[Rating, str | None]:
    plan = rating.plan(event)
    try:
        return rate(event, rating.prices, plan), None
    except AmountOverflow:
        # Whether it is a duplicate of something that fitted once is for the database to say.
        key_source = event.key_source or plan.default_key_source
        return Rating(None, key_source), RefusalReason.AMOUNT_OVERFLOW.value


class _Layout:
    """The columns while they grow."""

    __slots__ = ("_accounts", "_events", "_kinds", "_orgs")

    def __init__(self) -> None:
        self._orgs: dict[str, str] = {}
        self._accounts: dict[tuple[str, str], str] = {}
        self._kinds: dict[tuple[str | None, ...], str] = {}
        self._events: list[tuple[str | None, ...]] = []

    def add(self, event: Usage, position: int, rated: Rating, refusal: str | None) -> None:
        account = (event.org_id, event.user_id)
        account_no = self._accounts.get(account)
        if account_no is None:
            self._orgs.setdefault(event.org_id, str(len(self._orgs) + 1))
            account_no = self._accounts[account] = str(len(self._accounts) + 1)
        kind = (
            event.source,
            event.service_type,
            event.service_name,
            _amount(event.quantity),
            rated.key_source.value,
            _FALSE if event.credits is None else _TRUE,
            _FALSE if event.key_source is None else _TRUE,
            None if event.folded is None else _array_literal(event.folded),
        )
        kind_no = self._kinds.get(kind)
        if kind_no is None:
            kind_no = self._kinds[kind] = str(len(self._kinds) + 1)
        self._events.append(
            (
                str(position),
                account_no,
                kind_no,
                event.key,
                event.event_id,
                None if rated.credits is None else _amount(rated.credits),
                None if event.api_cost is None else _amount(event.api_cost),
                None if rated.markup is None else _amount(rated.markup),
                event.request_id,
                event.metadata,
                event.time,
                refusal,
            )
        )

    def columns(self) -> list[Column]:
        orgs = self._orgs
        return [
            list(orgs),
            [orgs[org_id] for org_id, _user in self._accounts],
            [user_id for _org, user_id in self._accounts],
            *map(list, zip(*self._kinds, strict=True)),
            *map(list, zip(*self._events, strict=True)),
        ]


def _amount(millionths: int) -> str:
    return f"{millionths}e-6"


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
