"""The usage that every line is measured with, and how it is spread."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

ORGANIZATIONS = 1_000
USERS_EACH = 10
#: An organization of rank r gets usage in proportion to r to the power of minus this. With 1,000 of them
#: 2,000 events change about 1,200 allocations, as in the measurements the bounds come from.
ZIPF_EXPONENT = 0.9
SEED = 20_260_101
#: Length of an encoded event; the request id is made to fit.
EVENT_BYTES = 353
#: Events in one message, where a message holds several.
EVENTS_A_MESSAGE = 100

_MODELS = ("sonnet", "haiku", "opus")


@dataclass(frozen=True, slots=True)
class Usage:
    """Who used what, before it is an event."""

    org_id: str
    user_id: str
    service_type: str
    model: str
    input_tokens: int
    output_tokens: int


def organization_id(rank: int) -> str:
    """Name an organization; ``sql/seed.sql`` names them alike."""
    return f"org-{rank:06d}"


def user_id(number: int) -> str:
    """Name a user of an organization; ``sql/seed.sql`` names them alike."""
    return f"user-{number:02d}"


def usages(
    count: int, organizations: int = ORGANIZATIONS, *, biggest_share: float | None = None
) -> list[Usage]:
    """Draw usage by the Zipf law; the same at every call.

    Args:
        count: how many.
        organizations: how many there are; rank 1 gets the most.
        biggest_share: what part of all usage rank 1 has, where it is not left to the law.
    """
    chance = random.Random(SEED)  # noqa: S311 - must be repeatable
    ranks = range(1, organizations + 1)
    weights = [rank**-ZIPF_EXPONENT for rank in ranks]
    if biggest_share is not None:
        weights[0] = sum(weights[1:]) * biggest_share / (1 - biggest_share)
    drawn = chance.choices(ranks, cum_weights=list(accumulate(weights)), k=count)
    return [usage_of(organization_id(rank), chance) for rank in drawn]


def usage_of(org_id: str, chance: random.Random) -> Usage:
    """Draw usage of an organization.

    Args:
        org_id: the organization.
        chance: where the numbers come from.
    """
    return Usage(
        org_id,
        user_id(chance.randrange(1, USERS_EACH + 1)),
        "llm",
        chance.choice(_MODELS),
        chance.randrange(50, 4_000),
        chance.randrange(10, 1_500),
    )


def organization_rank(org_id: str) -> int:
    """Read the rank from the name of an organization."""
    return int(org_id.removeprefix("org-"))
