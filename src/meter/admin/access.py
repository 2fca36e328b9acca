"""Who may add credits, and as what."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from meter.admin.gateways import writes_of
from meter.api.access import Administrator
from meter.api.callers import User
from meter.api.problems import Kind, Problem


@dataclass(frozen=True, slots=True)
class Adding:
    """An organization to which the caller may add credits."""

    org_id: str
    #: Only what was paid for, with the reference of the payment.
    purchases_only: bool


def may_add_credits(request: Request, access: Administrator) -> Adding:
    """Let system admins through, and admins of the organization where a setting says so.

    Raises:
        Problem: forbidden.
    """
    if isinstance(access.caller, User) and access.caller.system_admin:
        return Adding(access.org_id, purchases_only=False)
    if writes_of(request).admins_may_purchase:
        return Adding(access.org_id, purchases_only=True)
    raise Problem(Kind.FORBIDDEN, "only system admins may add credits here")


def may_reverse_credits(access: Administrator) -> str:
    """Let system admins through.

    Returns:
        The organization's id.

    Raises:
        Problem: forbidden.
    """
    if isinstance(access.caller, User) and access.caller.system_admin:
        return access.org_id
    raise Problem(Kind.FORBIDDEN, "only system admins may take credits back")


MayAddCredits = Annotated[Adding, Depends(may_add_credits)]
MayReverseCredits = Annotated[str, Depends(may_reverse_credits)]
