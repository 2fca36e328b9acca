"""Questions for the usage summary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from bench.one_organization import ORG_ID, USERS
from bench.workload import user_id

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from bench.api import Client

PERIOD = timedelta(days=30)
#: Periods begin and end anywhere in a day; what is loaded covers the longest.
PAST = PERIOD + timedelta(days=2)
_INTERVALS = ("hour", "day", "week", "month")
_SPLITS = (None, "outcome", "service_type", "user_id")
#: Interval and split of series with less than a thousand points, the most that anyone draws.
PICTURES = tuple(
    (interval, split) for split in _SPLITS for interval in _INTERVALS if not (split and interval == "hour")
)
#: Of those with up to 8,500.
LONG_SERIES = tuple(("hour", split) for split in _SPLITS if split)
#: Every so many questions one is about a single user.
_USER_EVERY = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; a period of at least :data:`PERIOD`."""

    start: datetime
    end: datetime
    interval: str
    split: str | None
    user_id: str | None

    async def ask(self, client: Client) -> Mapping[str, Any]:
        """Ask it."""
        query = {"from": self.start.isoformat(), "to": self.end.isoformat(), "interval": self.interval}
        if self.split is not None:
            query["group_by"] = self.split
        if self.user_id is not None:
            query["user_id"] = self.user_id
        return await client.ask(f"/credits/{ORG_ID}/usage", **query)


def questions(
    count: int, shapes: Sequence[tuple[str, str | None]], loaded_at: datetime, chance: random.Random
) -> list[Question]:
    """Draw questions, every shape among them.

    Args:
        count: how many.
        shapes: interval and split of their series.
        loaded_at: when the usage was loaded that covers :data:`PAST` before.
        chance: where the numbers come from.
    """
    return [_question(number, shapes, loaded_at, chance) for number in range(count)]


def _question(
    number: int, shapes: Sequence[tuple[str, str | None]], loaded_at: datetime, chance: random.Random
) -> Question:
    interval, split = shapes[number % len(shapes)]
    earliest = loaded_at - PAST
    # Every other period ends now, so that what has just been settled is in it.
    end = datetime.now(UTC) if number % 2 else loaded_at - timedelta(days=chance.random())
    return Question(
        start=earliest + timedelta(days=chance.random()),
        end=end,
        interval=interval,
        split=split,
        user_id=user_id(chance.randint(1, USERS)) if number % _USER_EVERY == 0 else None,
    )
