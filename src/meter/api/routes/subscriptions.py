"""Subscriptions: what organizations subscribe to, and have subscribed to."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.api.access import Member, gateways_of
from meter.api.admission import admit_member
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response_with_etag
from meter.api.callers import caller_of
from meter.api.parameters import SubscriptionId, SubscriptionsQuery
from meter.api.routes.answers import answers
from meter.api.routes.pages import page_response
from meter.api.subscription_ids import (
    admitted_to_subscription,
    known_subscription_id,
    no_subscription,
    version_tag,
)
from meter.api.subscription_schemas import Subscription, SubscriptionPage

router = APIRouter(prefix=BASE_PATH, tags=["subscriptions"])


@router.get(
    "/subscriptions/org/{org_id}",
    summary="The subscriptions of an organization",
    responses=answers(SubscriptionPage, 403, 404, 422),
)
async def subscriptions(
    request: Request, access: Member, query: Annotated[SubscriptionsQuery, Query()]
) -> Response:
    """For members, system admins and keys that may read. The newest first; at most one is not canceled."""
    found = await gateways_of(request).subscriptions.of_organization(
        access.org_id, after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda item: str(item.id))


@router.get(
    "/subscriptions/{subscription_id}",
    summary="A subscription",
    responses=answers(Subscription, 403, 404, not_modified=True),
)
async def subscription(request: Request, subscription_id: SubscriptionId) -> Response:
    """For members, system admins and keys that may read. Send its ETag in If-Match when you change it."""
    found = await gateways_of(request).subscriptions.one(known_subscription_id(subscription_id))
    if found is None:
        raise no_subscription()
    # Asked of the primary: who was removed is out at once.
    await admitted_to_subscription(
        admit_member(caller_of(request), found.org_id, gateways_of(request).membership)
    )
    return json_response_with_etag(request, found, version_tag(found.version))
