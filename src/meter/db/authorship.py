"""Who makes a change, as its history tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and by whose right.

    Attributes:
        actor: who did it, for the history.
        request_id: of the request that asked for it, for the history.
        member: the user whose role in the organization must allow it at the moment of the change; None where
            nobody's need to, as for an operator or a system admin.
    """

    actor: str
    request_id: str | None = None
    member: str | None = None
