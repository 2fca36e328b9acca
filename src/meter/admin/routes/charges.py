"""One synchronous charge, for a service that must know at once."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.gateways import writes_of
from meter.admin.idempotency import IdempotencyKey, author_of
from meter.admin.request_bodies import body_as
from meter.admin.routes.answers import keyed_answers, keyed_request
from meter.admin.schemas import CreditsDeducted, DeductCredits
from meter.api.access import gateways_of, service_somewhere
from meter.api.admission import admit_service
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response
from meter.api.callers import Scope, Service
from meter.api.problems import Kind, Problem
from meter.db.charges import Charge
from meter.errors import IdentityConflict
from meter.events.metadata import encode_metadata

router = APIRouter(prefix=BASE_PATH, tags=["credits"])


@router.post(
    "/credits/deduct",
    summary="Charge usage at once",
    responses=keyed_answers(
        CreditsDeducted,
        403,
        404,
        kinds=(Kind.INSUFFICIENT_CREDITS, Kind.TAKEN_BACK, Kind.ORGANIZATION_CLOSED),
    ),
    openapi_extra=keyed_request(
        DeductCredits,
        {"org_id": "acme", "user_id": "ann@example.com", "credits": "12.5", "service_type": "valuation"},
    ),
)
async def deduct(
    request: Request,
    service: Annotated[Service, Depends(service_somewhere(Scope.DEDUCT))],
    key: IdempotencyKey,
    body: Annotated[DeductCredits, Depends(body_as(DeductCredits))],
) -> Response:
    """For services whose API key has the scope deduct; the key is the event's source.

    The Idempotency-Key is the event's id, for ever. Where credits do not suffice nothing is written (402),
    and the same Idempotency-Key may be used again.
    """
    await admit_service(service, body.org_id, gateways_of(request).membership, Scope.DEDUCT)
    charge = Charge(
        org_id=body.org_id,
        user_id=body.user_id,
        credits=body.credits,
        service_type=body.service_type,
        service_name=body.service_name,
        request_id=body.request_id,
        metadata=encode_metadata(body.metadata).decode(),
        key=key,
        occurred_at=body.occurred_at,
    )
    try:
        charged = await writes_of(request).charges.charge(charge, author_of(request))
    except IdentityConflict as error:
        raise _known_otherwise(error) from None
    return json_response(
        {
            "event_key": charged.event_key,
            "org_id": body.org_id,
            "user_id": body.user_id,
            "credits": charged.credits_used,
            "outcome": charged.outcome,
            "occurred_at": charged.occurred_at,
        },
        {"Cache-Control": "no-store"},
    )


def _known_otherwise(error: IdentityConflict) -> Problem:
    if error.detail == "taken_back":
        return Problem(
            Kind.TAKEN_BACK,
            "the charge with this key was taken back; use a new key for a new charge",
        )
    return Problem(Kind.IDEMPOTENCY_KEY_REUSED, "use a new Idempotency-Key for a new request")
