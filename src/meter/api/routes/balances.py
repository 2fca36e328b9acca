"""Balances: the pool of an organization, allocations, and whether a charge would be taken."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.api.access import (
    AdministratorOrReader,
    MemberOrOwnOrChecking,
    OwnUserId,
    gateways_of,
    pool_org_id,
)
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response, json_response_with_etag
from meter.api.parameters import ORG_ID_IN_PATH, CheckQuery, PageQuery
from meter.api.problems import invalid, not_found
from meter.api.routes.answers import answers
from meter.api.routes.pages import page_response
from meter.api.schemas import AllocationPage, CreditCheck, CreditPool, UserCreditsPage

router = APIRouter(prefix=BASE_PATH, tags=["balances"])


# Before the routes with an organization id: no organization can be called "user".
@router.get(
    "/credits/user/{user_id:path}",
    summary="A user's allocations in all the user's organizations",
    responses=answers(UserCreditsPage, 403, 422, not_modified=True),
)
async def credits_of_user(
    request: Request, user_id: OwnUserId, query: Annotated[PageQuery, Query()]
) -> Response:
    """For the user and for system admins. In the order of the organizations' ids."""
    found = await gateways_of(request).balances.of_user(user_id, after=query.after, limit=query.limit + 1)
    return page_response(found, query.limit, lambda item: item.org_id, known_to=request)


@router.get(
    "/credits/{org_id}",
    summary="The pool balance of an organization",
    responses=answers(CreditPool, 403, 404, not_modified=True),
    # Read here and not by FastAPI, which takes as long for it as the database for the balance.
    openapi_extra={"parameters": [ORG_ID_IN_PATH]},
)
async def credit_pool(request: Request) -> Response:
    """For members and system admins. Send the ETag back in If-None-Match to be told that nothing changed."""
    org_id = await pool_org_id(request, request.path_params["org_id"])
    # Balance and membership in one statement: this is what services ask before every expensive call.
    pool = await gateways_of(request).balances.credit_pool(org_id)
    if pool is None:
        raise not_found()
    return json_response_with_etag(request, pool)


@router.get(
    "/credits/{org_id}/allocations",
    summary="The allocations of an organization",
    responses=answers(AllocationPage, 403, 404, 422, not_modified=True),
)
async def allocations(
    request: Request, access: AdministratorOrReader, query: Annotated[PageQuery, Query()]
) -> Response:
    """For admins and owners of the organization and system admins. In the order of the user ids."""
    found = await gateways_of(request).balances.allocations(
        access.org_id, after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda item: item.user_id, known_to=request)


@router.get(
    "/credits/{org_id}/check",
    summary="Whether a charge would be taken now",
    responses=answers(CreditCheck, 403, 404, 422),
)
async def check(
    request: Request, access: MemberOrOwnOrChecking, query: Annotated[CheckQuery, Query()]
) -> Response:
    """Members ask for themselves, admins, owners, system admins and services for anyone.

    Nothing is reserved.
    """
    user_id = query.user_id or access.user_id
    if user_id is None:
        raise invalid("query", "user_id", "an API key is nobody; say who would use it")
    sufficient = await gateways_of(request).balances.suffices(access.org_id, user_id, query.credits)
    return json_response(
        {"org_id": access.org_id, "user_id": user_id, "credits": query.credits, "sufficient": sufficient}
    )
