"""Who makes a request: a person with a token of the issuer, or a service with an API key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from uuid import UUID

    from starlette.requests import Request

#: Where the middleware leaves what it found, in the ASGI scope.
CALLER_IN_SCOPE = "meter.caller"
REQUEST_ID_IN_SCOPE = "meter.request_id"


class Scope(StrEnum):
    """What an API key is for."""

    #: Charge usage at once.
    DEDUCT = "deduct"
    #: Ask whether a charge would be taken.
    CHECK = "check"
    #: Read all that admins of the organization may read.
    READ = "read"


@dataclass(frozen=True, slots=True)
class User:
    """A person, known by a token of the issuer."""

    user_id: str
    #: Sees every organization without being a member.
    system_admin: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A program, known by its API key."""

    key_id: UUID
    name: str
    #: None: all organizations.
    org_id: str | None
    scopes: frozenset[Scope]
    #: What the key may do in a minute; None: as any other caller.
    reads_per_minute: int | None = None
    writes_per_minute: int | None = None


Caller: TypeAlias = User | Service


def caller_of(request: Request) -> Caller:
    """Return who makes a request under the base path."""
    return cast("Caller", request.scope[CALLER_IN_SCOPE])


def actor_of(caller: Caller) -> str:
    """Name a caller for the books: the user's id, or ``key:`` and the key's id."""
    return caller.user_id if isinstance(caller, User) else f"key:{caller.key_id}"


def request_id_of(request: Request) -> str:
    """Return the id of a request, as its log lines and its response have it."""
    return cast("str", request.scope[REQUEST_ID_IN_SCOPE])
