"""Batches of usage and voids, each settled by the database and by the model."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from tests.settlement_events import Event, Void

from meter import events
from meter.db.outcomes import LETTERS
from meter.events import Usage

if TYPE_CHECKING:
    import asyncpg
    from tests.settlement_model import Model

    from meter.db.settlement import Settlement

HAPPENED_AT = "2026-01-01T00:00:00+00:00"
#: Of the service that is rated beyond what can be charged.
TOO_MANY = 99_999_999_999_999 * 1_000_000


@dataclass(frozen=True)
class Client:
    """Who does a step: a connection of people, or the gateway of a worker with its own connections."""

    connection: asyncpg.Connection
    worker: Settlement


class Step(Protocol):
    """An answer of the database is that of the model, or the SQLSTATE of a refusal in both."""

    def on_model(self, model: Model) -> object: ...

    async def on_database(self, client: Client) -> object: ...


def numeric(credits: int) -> Decimal:
    return Decimal(credits).scaleb(-6)


def millionths(credits: Decimal) -> int:
    return int(credits.scaleb(6))


@dataclass(frozen=True)
class Settle:
    """A batch, as JSON to the function that is called by hand."""

    batch: tuple[Event, ...]

    def on_model(self, model: Model) -> object:
        return model.settle(self.batch)

    async def on_database(self, client: Client) -> object:
        answers = await client.connection.fetch(
            "select pos, outcome, reason, credits from settle_usage($1)",
            json.dumps([_published(event) for event in self.batch]),
        )
        assert [row["pos"] for row in answers] == list(range(1, len(self.batch) + 1))
        return [(row["outcome"], row["reason"], millionths(row["credits"])) for row in answers]


def _time(event: Event | Void) -> str:
    if event.refusal == "future_time":
        return (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return HAPPENED_AT


def _quantity(event: Event) -> int:
    return TOO_MANY if event.service == "valuation" else 1_000_000


def _published(event: Event) -> dict[str, object]:
    return {
        "org_id": event.org_id,
        "event_key": event.key,
        "source": event.source,
        "user_id": event.user_id,
        "service_type": event.service,
        "quantity": str(numeric(_quantity(event))),
        "credits": None if event.credits is None else str(numeric(event.credits)),
        "credits_given": event.given,
        "key_source": "platform",
        "key_source_given": False,
        "request_id": event.request_id,
        "metadata": {"unknown": 1} if event.extended else {},
        "folded": ["unknown"] if event.extended else None,
        "occurred_at": _time(event),
        "refusal": None if event.refusal == "future_time" else event.refusal,
    }


@dataclass(frozen=True)
class SettleByWorker:
    """A batch as the worker has it: rated by the price book, sent as columns; voids by themselves."""

    batch: tuple[Event | Void, ...]

    def on_model(self, model: Model) -> object:
        return model.settle(
            tuple(event if isinstance(event, Void) else _rated_now(event) for event in self.batch)
        )

    async def on_database(self, client: Client) -> list[tuple[str, str | None, int]]:
        settled = await client.worker.settle(
            [_void(event) if isinstance(event, Void) else _usage(event) for event in self.batch]
        )
        return [(each.outcome.value, each.reason, each.credits) for each in settled]


def _rated_now(event: Event) -> Event:
    name, _, price = event.service.partition("-")
    if name == "costs":
        return replace(event, credits=int(price), refusal=None)
    return replace(event, credits=None, refusal=None) if name == "unheard" else event


def _usage(event: Event) -> Usage:
    return Usage(
        org_id=event.org_id,
        key=event.key,
        event_id=None,
        source=event.source,
        user_id=event.user_id,
        service_type=event.service,
        service_name=None,
        quantity=_quantity(event),
        credits=event.credits if event.given else None,
        api_cost=None,
        key_source=None,
        request_id=event.request_id,
        metadata='{"unknown":1}' if event.extended else "{}",
        numbers={},
        time=_time(event),
        folded=("unknown",) if event.extended else None,
    )


def _void(void: Void) -> events.Void:
    return events.Void(
        org_id=void.org_id,
        key=void.key,
        event_id=None,
        source=void.source,
        target_key=void.target,
        metadata=json.dumps({"reason": void.reason}),
        time=_time(void),
    )


@dataclass(frozen=True)
class TakeBack:
    """Voids, as JSON to the function that is called by hand."""

    batch: tuple[Void, ...]

    def on_model(self, model: Model) -> object:
        return model.settle(self.batch)

    async def on_database(self, client: Client) -> object:
        rows = [
            {
                "org_id": void.org_id,
                "event_key": void.key,
                "source": void.source,
                "target_key": void.target,
                "metadata": {"reason": void.reason},
                "occurred_at": _time(void),
            }
            for void in self.batch
        ]
        letters = await client.connection.fetchval("select settle_voids($1)", json.dumps(rows))
        return [(LETTERS[letter][0].value, LETTERS[letter][1], 0) for letter in letters]
