"""Organizations and their members."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.api.access import Member, Person, gateways_of
from meter.api.authentication import BASE_PATH
from meter.api.parameters import PageQuery
from meter.api.routes.answers import answers
from meter.api.routes.pages import page_response
from meter.api.schemas import MemberPage, OrganizationPage

router = APIRouter(prefix=BASE_PATH, tags=["organizations"])


@router.get(
    "/organizations",
    summary="The caller's organizations",
    responses=answers(OrganizationPage, 403, 422),
)
async def organizations(request: Request, caller: Person, query: Annotated[PageQuery, Query()]) -> Response:
    """A system admin sees all of them. In the order of their ids."""
    found = await gateways_of(request).membership.organizations_of(
        caller.user_id,
        sees_every_organization=caller.system_admin,
        after=query.after,
        limit=query.limit + 1,
    )
    return page_response(found, query.limit, lambda item: item.org_id)


@router.get(
    "/organizations/{org_id}/members",
    summary="The members of an organization",
    responses=answers(MemberPage, 403, 404, 422),
)
async def members(request: Request, access: Member, query: Annotated[PageQuery, Query()]) -> Response:
    """For members and system admins. In the order of the user ids."""
    found = await gateways_of(request).membership.members(
        access.org_id, after=query.after, limit=query.limit + 1
    )
    return page_response(found, query.limit, lambda item: item.user_id)
