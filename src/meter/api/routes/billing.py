"""Billing: of users, of organizations, of the business as a whole, and the history of balances."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.api.access import AdministratorOrReader, Person, SystemAdministrator, gateways_of
from meter.api.authentication import BASE_PATH
from meter.api.billing_schemas import (
    BillingHistoryPage,
    OrganizationBilling,
    SystemBilling,
    UserBillingPage,
)
from meter.api.bodies import json_response
from meter.api.cursors import encode_number
from meter.api.parameters import BillingHistoryQuery, PageQuery
from meter.api.problems import invalid, not_found
from meter.api.routes.answers import answers
from meter.api.routes.pages import page_of, page_response
from meter.db.billing import HistoryFilter
from meter.db.usage_history import EARLIEST, LATEST

router = APIRouter(prefix=BASE_PATH, tags=["billing"])


@router.get(
    "/billing/user",
    summary="What the caller has in all of the caller's organizations",
    responses=answers(UserBillingPage, 403, 422),
)
async def billing_of_user(request: Request, caller: Person, query: Annotated[PageQuery, Query()]) -> Response:
    """For every user. In the order of the organizations' ids."""
    found = await gateways_of(request).billing.of_user(
        caller.user_id, after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda item: item.org_id)


@router.get(
    "/billing/system",
    summary="The business as a whole: recurring revenue, plans, top organizations",
    responses=answers(SystemBilling, 403),
)
async def billing_of_system(request: Request, _caller: SystemAdministrator) -> Response:
    """For system admins. Everything is from one snapshot."""
    return json_response(await gateways_of(request).billing.of_system())


@router.get(
    "/billing/org/{org_id}",
    summary="Plan, pool and promises of an organization",
    responses=answers(OrganizationBilling, 403, 404),
)
async def billing_of_organization(request: Request, access: AdministratorOrReader) -> Response:
    """For admins and owners of the organization, system admins, and services that may read."""
    found = await gateways_of(request).billing.of_organization(access.org_id)
    if found is None:
        raise not_found()
    return json_response(found)


@router.get(
    "/billing/{org_id}/history",
    summary="Every change of a balance that usage did not make, and money; newest first",
    responses=answers(BillingHistoryPage, 403, 404, 422),
)
async def billing_history(
    request: Request, access: AdministratorOrReader, query: Annotated[BillingHistoryQuery, Query()]
) -> Response:
    """For admins and owners of the organization, system admins, and services that may read."""
    start, end = query.start or EARLIEST, query.end or LATEST
    if start >= end:
        raise invalid("query", "from", "must be before to")
    found = await gateways_of(request).billing.history(
        HistoryFilter(access.org_id, query.event_type, start, end),
        before=query.before,
        limit=query.limit + 1,
    )
    return page_of(found, query.limit, lambda item: encode_number(item.id))
