"""Credits of an organization: what comes in, what goes out again, and who may spend how much."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.access import MayAddCredits, MayReverseCredits
from meter.admin.idempotency import IdempotencyKey, answered_once
from meter.admin.request_bodies import body_as
from meter.admin.routes.answers import keyed_answers, keyed_request
from meter.admin.schemas import (
    AddCredits,
    AllocateCredits,
    CreditsAdded,
    CreditsAllocated,
    CreditsReversed,
    ReverseCredits,
)
from meter.api.access import Administrator
from meter.api.authentication import BASE_PATH
from meter.api.problems import Fault, Kind, Problem
from meter.db.credit_changes import Addition, CreditChanges, Limit, Reversal

router = APIRouter(prefix=BASE_PATH, tags=["credits"])


@router.post(
    "/credits/{org_id}/add",
    summary="Add credits to the pool of an organization",
    responses=keyed_answers(
        CreditsAdded, 403, 404, kinds=(Kind.ORGANIZATION_CLOSED, Kind.PAYMENT_REFERENCE_USED)
    ),
    openapi_extra=keyed_request(
        AddCredits,
        {
            "credits": "100000",
            "purchase_amount": "100",
            "reason": "purchase",
            "payment_reference": "invoice-42",
        },
    ),
)
async def add(
    request: Request,
    adding: MayAddCredits,
    key: IdempotencyKey,
    body: Annotated[AddCredits, Depends(body_as(AddCredits))],
) -> Response:
    """For system admins; where METER_ADMIN_PURCHASES says so also for the organization's admins and owners.

    The latter add purchases only, with a payment_reference. Unfunded usage that fits is settled at once.
    """
    if adding.purchases_only and body.reason != "purchase":
        raise Problem(Kind.FORBIDDEN, "admins of the organization add purchases only")
    if adding.purchases_only and body.payment_reference is None:
        detail = "is needed where an admin of the organization adds a purchase"
        raise Problem(
            Kind.INVALID_REQUEST,
            f"payment_reference: {detail}",
            (Fault("body", "payment_reference", detail),),
        )
    addition = Addition(
        adding.org_id, body.credits, body.purchase_amount, body.reason, body.payment_reference, body.notes
    )

    async def change(changes: CreditChanges) -> object:
        pool = await changes.add(addition)
        return {
            "org_id": adding.org_id,
            "credits": body.credits,
            "reason": body.reason,
            "total_credits": pool.total_credits,
            "available_credits": pool.available_credits,
            "funded_events": pool.funded_events,
        }

    return await answered_once(request, adding.org_id, key, body, change)


@router.post(
    "/credits/{org_id}/reverse",
    summary="Take credits out of the pool that came in by mistake",
    responses=keyed_answers(
        CreditsReversed, 403, 404, kinds=(Kind.REVERSAL_TOO_LARGE, Kind.ORGANIZATION_CLOSED)
    ),
    openapi_extra=keyed_request(
        ReverseCredits,
        {"credits": "100000", "purchase_amount": "100", "reason": "purchase", "notes": "typed twice"},
    ),
)
async def reverse(
    request: Request,
    org_id: MayReverseCredits,
    key: IdempotencyKey,
    body: Annotated[ReverseCredits, Depends(body_as(ReverseCredits))],
) -> Response:
    """For system admins. What is used stays paid for: 409 says how much can be taken back."""
    reversal = Reversal(org_id, body.credits, body.purchase_amount, body.reason, body.notes)

    async def change(changes: CreditChanges) -> object:
        pool = await changes.reverse(reversal)
        return {
            "org_id": org_id,
            "credits": body.credits,
            "total_credits": pool.total_credits,
            "available_credits": pool.available_credits,
        }

    return await answered_once(request, org_id, key, body, change)


@router.post(
    "/credits/{org_id}/allocate",
    summary="Set what a member may spend",
    responses=keyed_answers(
        CreditsAllocated,
        403,
        404,
        kinds=(Kind.ALLOCATION_EXCEEDS_POOL, Kind.NOT_A_MEMBER, Kind.ORGANIZATION_CLOSED),
    ),
    openapi_extra=keyed_request(
        AllocateCredits, {"user_id": "ann@example.com", "credits": "5000", "reset_period": "monthly"}
    ),
)
async def allocate(
    request: Request,
    access: Administrator,
    key: IdempotencyKey,
    body: Annotated[AllocateCredits, Depends(body_as(AllocateCredits))],
) -> Response:
    """For admins and owners of the organization and system admins. The limit is set, not added to.

    The active allocations never promise more than the pool has: 409 says what is left. Unfunded usage that
    fits now is settled at once.
    """
    limit = Limit(access.org_id, body.user_id, body.credits, body.reset_period, body.is_active, body.notes)

    async def change(changes: CreditChanges) -> object:
        allocation = await changes.allocate(limit)
        return {
            "org_id": access.org_id,
            "user_id": body.user_id,
            "allocation_id": allocation.allocation_id,
            "allocated_credits": allocation.allocated_credits,
            "used_credits": allocation.used_credits,
            "remaining_credits": allocation.remaining_credits,
            "is_active": body.is_active,
            "funded_events": allocation.funded_events,
        }

    return await answered_once(request, access.org_id, key, body, change)
