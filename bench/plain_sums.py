"""Whether a usage summary is what the ledger holds: the same sums made the plain way."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import asyncpg

from bench.databases import SQL
from bench.one_organization import ORG_ID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.api import Client
    from bench.summaries import Question

    #: Sums by what they are of. Where all are zero there is none.
    Sums = dict[tuple[object, ...], tuple[Decimal, ...]]

_TAKEN = ("charged", "overage")
#: As the API lists.
_TOP_USERS = 10
_POINT = ("events", "credits", "unfunded_credits")


async def check(dsn: str, asked: Sequence[Question], client: Client) -> None:
    """Hold answers to plain sums over the ledger.

    Args:
        dsn: the database, as superuser; nothing may be settled meanwhile.
        asked: what to ask.
        client: whom.

    Raises:
        RuntimeError: an answer differs.
    """
    connection = await asyncpg.connect(dsn)
    try:
        for question in asked:
            told = _told(await question.ask(client))
            rows = await connection.fetch(
                (SQL / "plain_sums.sql").read_text(),
                *(ORG_ID, question.start, question.end, question.user_id, question.interval),
            )
            _compare(question, told, _plain(rows, question.split))
    finally:
        await connection.close()


def _compare(question: Question, told: Sums, plain: Sums) -> None:
    for of in told.keys() | plain.keys():
        if told.get(of) != plain.get(of):
            raise RuntimeError(f"{question}: {of} is {plain.get(of)} and the API says {told.get(of)}")


def _told(answer: Mapping[str, Any]) -> Sums:
    sums: Sums = {}
    for of in answer["by_outcome"]:
        sums["outcome", of["outcome"]] = _amounts(of, "events", "credits")
    for of in answer["by_service"]:
        sums["service", of["service_type"], of["service_name"]] = _amounts(of, "quantity", *_POINT)
    for of in answer["top_users"]:
        sums["user", of["user_id"]] = _amounts(of, *_POINT)
    for group in answer["series"]:
        for point in group["points"]:
            start = datetime.fromisoformat(point["start"])
            sums["series", group["group"], start] = _amounts(point, *_POINT)
    return _without_nothing(sums)


def _plain(rows: Sequence[Mapping[str, Any]], split: str | None) -> Sums:
    adding: dict[tuple[object, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 4)
    top = _top_users(rows)
    for row in rows:
        outcome, credits, events = row["outcome"], row["credits"], Decimal(row["events"])
        taken = credits if outcome in _TAKEN else Decimal(0)
        unfunded = credits if outcome == "unfunded" else Decimal(0)
        part = None if split is None else row[split]
        if split == "user_id" and part not in top:
            part = None
        _add(adding["outcome", outcome], events, credits)
        _add(
            adding["service", row["service_type"], row["service_name"]],
            row["quantity"],
            events,
            taken,
            unfunded,
        )
        _add(adding["series", part, row["bucket"]], events, taken, unfunded)
        if row["user_id"] in top:
            _add(adding["user", row["user_id"]], events, taken, unfunded)
    width = {"outcome": 2, "service": 4, "user": 3, "series": 3}
    return _without_nothing({of: tuple(sums[: width[str(of[0])]]) for of, sums in adding.items()})


def _top_users(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    sums: dict[str, list[Decimal]] = defaultdict(lambda: [Decimal(0)] * 2)
    for row in rows:
        taken = row["credits"] if row["outcome"] in _TAKEN else Decimal(0)
        _add(sums[row["user_id"]], taken, Decimal(row["events"]))
    ordered = sorted(sums, key=lambda user: (*(-amount for amount in sums[user]), user))
    return set(ordered[:_TOP_USERS])


def _add(sums: list[Decimal], *amounts: Decimal) -> None:
    for place, amount in enumerate(amounts):
        sums[place] += amount


def _amounts(of: Mapping[str, Any], *names: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(of[name]) for name in names)


def _without_nothing(sums: Sums) -> Sums:
    return {of: amounts for of, amounts in sums.items() if any(amounts)}
