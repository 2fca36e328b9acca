"""Members: who may add, promote and remove whom, also when two do it at once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.balances import WRONG_BALANCES
from tests.subscribers import OLGA, OPERATOR, Subscribers, subscribers

from meter.db.authorship import Author
from meter.db.organizations import Organizations
from meter.errors import (
    InvalidArgument,
    LastOwner,
    MemberAlready,
    NotPermitted,
    OrganizationClosed,
    OrganizationTaken,
    SeatsTaken,
    UnknownMember,
    UnknownOrganization,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

    from tests.private_servers import PostgresServers

    from meter.db.members import Members

ANN = Author("ann", "request-2", "ann")
ADAM = Author("adam", "request-3", "adam")


@pytest.fixture(scope="module")
async def database_of_all(postgres_servers: PostgresServers) -> AsyncIterator[Subscribers]:
    async with subscribers(postgres_servers) as opened:
        yield opened


@pytest.fixture
async def books(database_of_all: Subscribers) -> Subscribers:
    """Of acme, olga is the owner, adam an admin and ann a member."""
    await database_of_all.empty()
    await database_of_all.members.add("acme", "adam", "admin", author=OPERATOR)
    return database_of_all


async def roles(books: Subscribers) -> dict[str, str]:
    return {member.user_id: member.role for member in await books.members.all("acme")}


async def test_members_come_change_and_go_and_the_history_says_who_did_it(books: Subscribers) -> None:
    members = books.members
    assert await members.add("acme", "a/b@c", "member", author=ADAM)
    assert not await members.add("acme", "a/b@c", "member", author=ADAM)
    assert await members.change_role("acme", "a/b@c", "admin", author=OLGA)
    assert not await members.change_role("acme", "a/b@c", "admin", author=OLGA)
    await members.remove("acme", "a/b@c", author=ADAM)
    assert await members.one("acme", "a/b@c") is None
    rows = await books.owner.fetch(
        """
        select event_type, actor, request_id, metadata from org_billing_history
        where user_id = 'a/b@c' order by id
        """
    )
    assert [tuple(row) for row in rows] == [
        ("member_added", "adam", "request-3", '{"role": "member"}'),
        ("member_role_changed", "olga", "request-1", '{"role": "admin", "role_before": "member"}'),
        ("member_removed", "adam", "request-3", '{"role_before": "admin"}'),
    ]


_REFUSED: list[tuple[str, Callable[[Members], Coroutine[Any, Any, object]], type[Exception]]] = [
    ("a member adds", lambda m: m.add("acme", "eve", "member", author=ANN), NotPermitted),
    (
        "a stranger adds",
        lambda m: m.add("acme", "eve", "member", author=Author("eve", None, "eve")),
        NotPermitted,
    ),
    ("an admin appoints an owner", lambda m: m.add("acme", "eve", "owner", author=ADAM), NotPermitted),
    ("an admin becomes owner", lambda m: m.change_role("acme", "adam", "owner", author=ADAM), NotPermitted),
    (
        "an admin demotes an owner",
        lambda m: m.change_role("acme", "olga", "member", author=ADAM),
        NotPermitted,
    ),
    ("an admin removes an owner", lambda m: m.remove("acme", "olga", author=ADAM), NotPermitted),
    ("a member removes", lambda m: m.remove("acme", "adam", author=ANN), NotPermitted),
    ("a member asks for strangers", lambda m: m.remove("acme", "eve", author=ANN), NotPermitted),
    ("the last owner resigns", lambda m: m.change_role("acme", "olga", "admin", author=OLGA), LastOwner),
    ("the last owner leaves", lambda m: m.remove("acme", "olga", author=OLGA), LastOwner),
    ("an operator removes the last owner", lambda m: m.remove("acme", "olga", author=OPERATOR), LastOwner),
    (
        "another role by adding",
        lambda m: m.add("acme", "ann", "admin", author=OLGA, only_new=True),
        MemberAlready,
    ),
    ("nobody is promoted", lambda m: m.change_role("acme", "eve", "admin", author=OLGA), UnknownMember),
    ("nobody is removed", lambda m: m.remove("acme", "eve", author=OLGA), UnknownMember),
    ("no organization", lambda m: m.remove("nobody", "eve", author=OPERATOR), UnknownOrganization),
    ("no user id", lambda m: m.add("acme", "", "member", author=OLGA), InvalidArgument),
    ("no such role", lambda m: m.change_role("acme", "ann", "boss", author=OLGA), InvalidArgument),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("call", "error"), [case[1:] for case in _REFUSED], ids=[case[0] for case in _REFUSED]
)
async def test_what_is_refused_changes_nothing(
    books: Subscribers, call: Callable[[Members], Coroutine[Any, Any, object]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await call(books.members)
    assert await roles(books) == {"adam": "admin", "ann": "member", "olga": "owner"}
    assert await books.history() == ["member_added"]


async def test_of_two_owners_who_remove_each_other_at_once_one_stays(books: Subscribers) -> None:
    for _ in range(5):
        await books.members.add("acme", "otto", "owner", author=OPERATOR)
        await books.members.add("acme", "olga", "owner", author=OPERATOR)
        answers = await asyncio.gather(
            books.members.remove("acme", "otto", author=OLGA),
            books.members.remove("acme", "olga", author=Author("otto", None, "otto")),
            return_exceptions=True,
        )
        # Who comes second is no member any more.
        assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "NotPermitted"]
        assert list((await roles(books)).values()).count("owner") == 1


async def test_of_two_removals_of_the_last_two_owners_at_once_one_is_refused(books: Subscribers) -> None:
    for _ in range(5):
        await books.members.add("acme", "otto", "owner", author=OPERATOR)
        await books.members.add("acme", "olga", "owner", author=OPERATOR)
        answers = await asyncio.gather(
            books.members.remove("acme", "otto", author=OPERATOR),
            books.members.change_role("acme", "olga", "member", author=OPERATOR),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, LastOwner) for answer in answers) == 1
        assert list((await roles(books)).values()).count("owner") == 1


async def test_the_last_seat_goes_to_one_of_two_who_are_added_at_once(books: Subscribers) -> None:
    await books.owner.execute("update organizations set max_seats = 4")
    for _ in range(5):
        answers = await asyncio.gather(
            *(books.members.add("acme", user_id, "member", author=OLGA) for user_id in ("eve", "dan")),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == ["SeatsTaken", "bool"]
        assert len(await roles(books)) == 4
        for user_id in ("eve", "dan"):
            if await books.members.one("acme", user_id):
                await books.members.remove("acme", user_id, author=OLGA)


async def test_a_role_changes_where_all_seats_are_taken_and_more(books: Subscribers) -> None:
    await books.owner.execute("update organizations set max_seats = 2")
    assert await books.members.change_role("acme", "ann", "admin", author=OLGA)
    with pytest.raises(SeatsTaken, match="all 2 seats"):
        await books.members.add("acme", "eve", "member", author=OLGA)


async def test_who_is_removed_can_spend_nothing_from_the_same_moment(books: Subscribers) -> None:
    await books.owner.execute("select allocate_credits_to_user('acme', 'ann', 60, p_reset_period => 'daily')")
    await books.owner.execute("select deduct_credits('acme', 'ann', 10, 'llm')")
    await books.owner.execute("select set_pool_terms('acme', p_allocation_required => true)")
    await books.members.remove("acme", "ann", author=OLGA)
    row = await books.owner.fetchrow("select * from user_credit_allocations")
    assert (row["is_active"], row["allocated_credits"], row["used_credits"]) == (False, 60, 10)
    assert await books.owner.fetchval("select allocated_credits from organization_credit_pools") == 0
    noted = await books.owner.fetchrow(
        "select * from org_billing_history where event_type = 'allocation_deactivated'"
    )
    assert (noted["balance"], noted["credits"], noted["user_id"]) == ("allocated", -60, "ann")
    assert (noted["actor"], noted["request_id"]) == ("olga", "request-1")
    assert not await books.owner.fetchval("select has_sufficient_credits('acme', 'ann', 1)")
    assert await books.owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_usage_that_waited_for_an_allocation_is_settled_when_none_is_needed_any_more(
    books: Subscribers,
) -> None:
    await books.owner.execute("select allocate_credits_to_user('acme', 'ann', 40)")
    assert await books.credits_at(await books.now()) == [50]
    assert await books.owner.fetchval("select unfunded_credits from organization_credit_pools") == 50
    await books.members.remove("acme", "ann", author=OLGA)
    assert await books.owner.fetchval("select unfunded_credits from organization_credit_pools") == 0
    assert await books.owner.fetch(WRONG_BALANCES, ["acme"]) == []


async def test_members_leave_a_closed_organization_and_none_come(books: Subscribers) -> None:
    await books.owner.execute("select close_organization('acme')")
    await books.members.remove("acme", "ann", author=OLGA)
    with pytest.raises(OrganizationClosed):
        await books.members.add("acme", "eve", "member", author=OLGA)
    with pytest.raises(OrganizationClosed):
        await books.members.change_role("acme", "adam", "member", author=OLGA)


async def test_an_organization_is_made_with_its_owner(books: Subscribers) -> None:
    organizations = Organizations(books.admin)
    author = Author("eve", "request-4")
    made = await organizations.add(
        "globex", name="Globex", display_name=None, max_seats=1, owner="eve", author=author
    )
    assert made
    assert [(member.user_id, member.role) for member in await books.members.all("globex")] == [
        ("eve", "owner")
    ]
    rows = await books.owner.fetch(
        "select event_type, actor, request_id from org_billing_history where org_id = 'globex' order by id"
    )
    assert [tuple(row) for row in rows] == [
        ("organization_created", "eve", "request-4"),
        ("member_added", "eve", "request-4"),
    ]
    with pytest.raises(OrganizationTaken):
        await organizations.add("other", name="Globex", display_name=None, max_seats=None, author=author)
