"""How subscriptions and their versions are named in paths and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from meter.api.problems import Kind, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from meter.api.admission import Access


def known_subscription_id(subscription_id: str) -> UUID:
    """Hold an id to the form that subscriptions' ids have.

    Args:
        subscription_id: as it stands in the path.

    Raises:
        Problem: not found, as for a subscription that is not there.
    """
    try:
        return UUID(subscription_id)
    except ValueError:
        raise no_subscription() from None


def no_subscription() -> Problem:
    """Make the one answer to an unknown subscription and to somebody else's."""
    return Problem(Kind.NOT_FOUND, "no subscription of yours has this id")


async def admitted_to_subscription(admission: Awaitable[Access]) -> Access:
    """Decide whether a caller may do something with a subscription.

    Args:
        admission: the decision about its organization.

    Returns:
        What the caller may see there.

    Raises:
        Problem: as the decision does; where the organization is not the caller's, as for an unknown
            subscription.
    """
    try:
        return await admission
    except Problem as problem:
        if problem.kind is Kind.NOT_FOUND:
            raise no_subscription() from None
        raise


def version_tag(version: int) -> str:
    """Make the ETag of a version: a strong one, for If-Match compares no other."""
    return f'"{version}"'


def versions_of(if_match: str | None) -> list[int] | None:
    """Read If-Match.

    Args:
        if_match: the header's value.

    Returns:
        The versions it names, none where no tag of it can be one; None where any version will do.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = (tag.strip() for tag in if_match.split(","))
    return [int(tag[1:-1]) for tag in tags if _is_tag(tag)]


def _is_tag(tag: str) -> bool:
    digits = tag[1:-1]
    # More digits than a version can have would not fit the database's type.
    return tag == f'"{digits}"' and digits.isascii() and digits.isdigit() and len(digits) < 10
