"""What was added up may be larger than any amount that is sent: it is told all the same, nothing breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.admin_calls import call, kind_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient

#: Fourteen integer digits and six places: the largest that can be sent.
LARGEST = "99999999999999.999999"
TWICE = "199999999999999.999998"
SEED = """
select create_organization('acme');
select add_organization_member('acme', 'olga', 'owner');
select add_organization_member('acme', 'mia', 'member');
"""


@pytest.fixture
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane


async def added_twice(api: AdminClient, **body: str) -> None:
    for _ in range(2):
        added = await api.by_system("/credits/acme/add", **body)
        assert added.status_code == 200


async def test_how_much_money_can_be_taken_back_is_told_however_much_it_is(api: AdminClient) -> None:
    await added_twice(api, credits="1", purchase_amount=LARGEST, reason="bonus")
    refused = await api.by_system("/credits/acme/reverse", credits="3", reason="bonus")
    assert kind_of(refused) == (409, "reversal-too-large")
    assert (refused.json()["largest"], refused.json()["largest_purchase_amount"]) == ("2", TWICE)


async def test_how_many_credits_can_be_taken_back_is_told_however_many_they_are(api: AdminClient) -> None:
    await added_twice(api, credits=LARGEST, reason="purchase")
    refused = await api.by_system("/credits/acme/reverse", credits="1", purchase_amount="0.01")
    assert kind_of(refused) == (409, "reversal-too-large")
    assert (refused.json()["largest"], refused.json()["largest_purchase_amount"]) == (TWICE, "0")


@pytest.mark.parametrize(
    "path",
    [
        *("/credits/acme", "/credits/acme/allocations", "/credits/user/mia", "/credits/acme/usage"),
        *("/billing/user", "/billing/org/acme", "/billing/acme/history", "/billing/system"),
    ],
)
async def test_reads_tell_such_sums(api: AdminClient, path: str) -> None:
    await added_twice(api, credits=LARGEST, purchase_amount=LARGEST, reason="purchase")
    await api.by_system("/credits/acme/allocate", user_id="mia", credits=LARGEST)
    assert (await call(api, "GET", path, "mia", system_admin=True)).status_code == 200
