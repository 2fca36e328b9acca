"""Organizations: made."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.gateways import writes_of
from meter.admin.organization_access import MayCreateOrganization, member_author
from meter.admin.organization_schemas import CreateOrganization, OrganizationCreated
from meter.admin.request_bodies import body_as, described
from meter.admin.routes.answers import change_answers
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response
from meter.api.problems import Kind, Problem
from meter.errors import OrganizationTaken

router = APIRouter(prefix=BASE_PATH, tags=["organizations"])


@router.post(
    "/organizations",
    summary="Make an organization",
    status_code=201,
    responses=change_answers(OrganizationCreated, kinds=(Kind.ORGANIZATION_TAKEN,), status=201),
    openapi_extra={
        "requestBody": described(
            CreateOrganization,
            {"org_id": "acme", "name": "acme", "display_name": "Acme Inc.", "max_seats": 25},
        )
    },
)
async def create(
    request: Request,
    user: MayCreateOrganization,
    body: Annotated[CreateOrganization, Depends(body_as(CreateOrganization))],
) -> Response:
    """For system admins; where METER_ANYONE_CREATES_ORGANIZATIONS says so, for every user.

    The caller becomes its owner, unless a system admin names somebody else. Its pool is empty.
    """
    owner = body.owner or user.user_id
    if owner != user.user_id and not user.system_admin:
        raise Problem(Kind.FORBIDDEN, "only system admins make organizations for others; leave owner out")
    made = await writes_of(request).organizations.add(
        body.org_id,
        name=body.name,
        display_name=body.display_name,
        max_seats=body.max_seats,
        owner=owner,
        author=member_author(request),
    )
    if not made:
        raise OrganizationTaken
    name = body.name or body.org_id
    created = {
        "org_id": body.org_id,
        "name": name,
        "display_name": body.display_name or name,
        "max_seats": body.max_seats,
        "status": "active",
        "owner": owner,
    }
    return json_response(created, {"Cache-Control": "no-store"}, 201)
