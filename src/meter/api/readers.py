"""Whom the database is read for, by who makes the request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.api.callers import User
from meter.db.reader import NOBODY, Reader

if TYPE_CHECKING:
    from meter.api.callers import Caller


def reader_of(caller: Caller | None) -> Reader:
    """Say whom to read for before anything is known of the organization.

    Args:
        caller: None where nobody has said who asks, as with health.

    Returns:
        For a user what the user has in all organizations, for a system admin all of them, for a service the
        organization of its key or all.
    """
    if caller is None:
        return NOBODY
    if isinstance(caller, User):
        return Reader(caller.user_id, sees_everything=caller.system_admin)
    return Reader(org_id=caller.org_id or "", sees_everything=True)
