"""Usage of one large organization, of many kinds, so that there is something to filter and to add up."""

from __future__ import annotations

import random
from dataclasses import replace

from bench.workload import SEED, USERS_EACH, Usage, organization_id, usage_of, user_id

ORG_ID = organization_id(1)
#: With their weights. What has no price is unpriced.
SERVICES = {
    "llm": 50,
    "company_enrichment": 10,
    "contact_lookup": 10,
    "valuation": 10,
    "market_analysis": 10,
    "property_search": 10,
}
#: Beyond :data:`USERS_EACH` they have no allocation, so that their usage is unfunded.
USERS = USERS_EACH + 2


def varied_usages(count: int) -> list[Usage]:
    """Draw usage of :data:`ORG_ID`; the same at every call.

    Args:
        count: how many.
    """
    chance = random.Random(SEED)  # noqa: S311 - must be repeatable
    services = chance.choices(list(SERVICES), weights=list(SERVICES.values()), k=count)
    return [
        replace(
            usage_of(ORG_ID, chance), service_type=service, user_id=user_id(chance.randrange(1, USERS + 1))
        )
        for service in services
    ]
