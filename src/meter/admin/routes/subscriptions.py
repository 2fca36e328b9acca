"""Subscriptions: started, changed, canceled."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.gateways import writes_of
from meter.admin.organization_access import ChangeableSubscription, is_system_admin, member_author
from meter.admin.request_bodies import body_as, described
from meter.admin.routes.answers import change_answers, version_headers
from meter.admin.subscription_schemas import (
    CancelQuery,
    ChangeSubscription,
    StartSubscription,
    SubscriptionChanged,
)
from meter.api.access import AdministratorSomewhere, gateways_of
from meter.api.admission import admit_administrator
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response, plain
from meter.api.problems import Kind, Problem
from meter.api.subscription_ids import version_tag, versions_of
from meter.api.subscription_schemas import Subscription
from meter.db import subscriptions as db

router = APIRouter(prefix=BASE_PATH, tags=["subscriptions"])

_REFUSED = (Kind.SUBSCRIPTION_CONFLICT, Kind.ORGANIZATION_CLOSED)
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag that was read: the change is made only if nothing changed since (else 412).",
    "schema": {"type": "string"},
    "example": '"3"',
}


@router.post(
    "/subscriptions",
    summary="Start the subscription of an organization",
    status_code=201,
    responses=version_headers(change_answers(Subscription, 404, kinds=_REFUSED, status=201), 201),
    openapi_extra={
        "requestBody": described(
            StartSubscription,
            {"org_id": "acme", "plan": "hybrid", "billing_cycle": "monthly", "trial_days": 14},
        )
    },
)
async def start(
    request: Request,
    user: AdministratorSomewhere,
    body: Annotated[StartSubscription, Depends(body_as(StartSubscription))],
) -> Response:
    """For admins and owners of the organization and system admins. Usage is rated by the plan from now on.

    The price is the plan's; only system admins set another. An organization has at most one subscription
    that is not canceled.
    """
    await admit_administrator(user, body.org_id, gateways_of(request).membership)
    _refuse_price(request, given=body.monthly_price is not None)
    started = await writes_of(request).subscriptions.start(
        body.org_id,
        body.plan,
        billing_cycle=body.billing_cycle,
        monthly_price=body.monthly_price,
        trial_days=body.trial_days,
        author=member_author(request),
    )
    return json_response(started, _headers(started), 201)


@router.put(
    "/subscriptions/{subscription_id}",
    summary="Change a subscription",
    responses=version_headers(
        change_answers(SubscriptionChanged, 404, kinds=(*_REFUSED, Kind.PRECONDITION_FAILED))
    ),
    openapi_extra={
        "parameters": [_IF_MATCH],
        "requestBody": described(ChangeSubscription, {"plan": "hybrid", "billing_cycle": "yearly"}),
    },
)
async def change(
    request: Request,
    changeable: ChangeableSubscription,
    body: Annotated[ChangeSubscription, Depends(body_as(ChangeSubscription))],
) -> Response:
    """For admins and owners of the organization and system admins: plan, cycle, pause, resume.

    What is absent stays. A dearer price is recorded as upgraded, a cheaper one as downgraded, with what it
    means for the period. A change that changes nothing records nothing.
    """
    _refuse_price(request, given=body.monthly_price is not None)
    changed = await writes_of(request).subscriptions.change(
        changeable.access.org_id,
        changeable.subscription_id,
        db.SubscriptionTerms(
            plan=body.plan,
            billing_cycle=body.billing_cycle,
            monthly_price=body.monthly_price,
            paused=body.paused,
            withdraw_cancellation=body.cancel_at_period_end is False,
        ),
        versions=versions_of(request.headers.get("if-match")),
        author=member_author(request),
    )
    return json_response(_change(changed), _headers(changed.subscription))


@router.delete(
    "/subscriptions/{subscription_id}",
    summary="Cancel a subscription",
    responses=version_headers(
        change_answers(
            Subscription,
            404,
            kinds=(Kind.SUBSCRIPTION_CONFLICT, Kind.PRECONDITION_FAILED),
            takes_body=False,
        )
    ),
    openapi_extra={"parameters": [_IF_MATCH]},
)
async def cancel(
    request: Request, changeable: ChangeableSubscription, query: Annotated[CancelQuery, Query()]
) -> Response:
    """For admins and owners of the organization and system admins: at the end of its period, or immediately.

    From then on usage is rated as without a subscription. One that is canceled stays as it is.
    """
    canceled = await writes_of(request).subscriptions.cancel(
        changeable.access.org_id,
        changeable.subscription_id,
        immediately=query.immediately,
        versions=versions_of(request.headers.get("if-match")),
        author=member_author(request),
    )
    return json_response(canceled, _headers(canceled))


def _refuse_price(request: Request, *, given: bool) -> None:
    if given and not is_system_admin(request):
        raise Problem(Kind.FORBIDDEN, "only system admins set a price; leave monthly_price out")


def _headers(subscription: db.Subscription) -> dict[str, str]:
    return {"Cache-Control": "no-store", "ETag": version_tag(subscription.version)}


def _change(changed: db.ChangedSubscription) -> dict[str, object]:
    subscription = changed.subscription
    proration = None
    if changed.credit is not None and changed.charge is not None:
        proration = {
            "credit": changed.credit,
            "charge": changed.charge,
            "amount": changed.charge - changed.credit,
            "currency": "USD",
            "from": subscription.updated_at,
            "to": subscription.current_period_end,
        }
    body = plain(subscription)
    assert isinstance(body, dict)  # noqa: S101 - what a dataclass becomes
    return {**body, "changed": changed.changed, "proration": proration}
