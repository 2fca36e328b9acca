"""Members of an organization: added, given another role, removed."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from meter.admin.gateways import writes_of
from meter.admin.organization_access import member_author
from meter.admin.organization_schemas import AddMember, ChangeRole
from meter.admin.request_bodies import body_as, described
from meter.admin.routes.answers import change_answers
from meter.api.access import Administrator
from meter.api.authentication import BASE_PATH
from meter.api.bodies import json_response
from meter.api.parameters import UserId
from meter.api.problems import Kind
from meter.api.schemas import Member
from meter.errors import UnknownMember

router = APIRouter(prefix=BASE_PATH, tags=["organizations"])

_MEMBER = "/organizations/{org_id}/members/{user_id:path}"
_NOT_STORED = {"Cache-Control": "no-store"}
_ADD_ANSWERS = change_answers(
    Member, 404, kinds=(Kind.SEATS_TAKEN, Kind.MEMBER_ALREADY, Kind.ORGANIZATION_CLOSED), status=201
)
_ADD_ANSWERS[200] = {**_ADD_ANSWERS[201], "description": "The user has this role already."}


@router.post(
    "/organizations/{org_id}/members",
    summary="Add a member",
    status_code=201,
    responses=_ADD_ANSWERS,
    openapi_extra={"requestBody": described(AddMember, {"user_id": "ann@example.com", "role": "member"})},
)
async def add(
    request: Request, access: Administrator, body: Annotated[AddMember, Depends(body_as(AddMember))]
) -> Response:
    """For admins and owners of the organization and system admins; owners are added by owners only.

    Where the user is a member with this role already, nothing is recorded and the answer is 200.
    """
    added = await writes_of(request).members.add(
        access.org_id, body.user_id, body.role, author=member_author(request), only_new=True
    )
    return await _member(request, access.org_id, body.user_id, 201 if added else 200)


@router.patch(
    _MEMBER,
    summary="Give a member another role",
    responses=change_answers(Member, 404, kinds=(Kind.LAST_OWNER, Kind.ORGANIZATION_CLOSED)),
    openapi_extra={"requestBody": described(ChangeRole, {"role": "admin"})},
)
async def change_role(
    request: Request,
    access: Administrator,
    user_id: UserId,
    body: Annotated[ChangeRole, Depends(body_as(ChangeRole))],
) -> Response:
    """For admins and owners of the organization and system admins; owners are touched by owners only.

    The last owner stays owner. A role that the member has already records nothing.
    """
    await writes_of(request).members.change_role(
        access.org_id, user_id, body.role, author=member_author(request)
    )
    return await _member(request, access.org_id, user_id, 200)


@router.delete(
    _MEMBER,
    summary="Remove a member",
    status_code=204,
    responses=change_answers(None, 404, kinds=(Kind.LAST_OWNER,), status=204, takes_body=False),
)
async def remove(request: Request, access: Administrator, user_id: UserId) -> Response:
    """For admins and owners of the organization and system admins; owners are touched by owners only.

    What the user may spend of the pool ends with it, in the same transaction. The last owner stays.
    """
    await writes_of(request).members.remove(access.org_id, user_id, author=member_author(request))
    return Response(status_code=204, headers=_NOT_STORED)


async def _member(request: Request, org_id: str, user_id: str, status: int) -> Response:
    member = await writes_of(request).members.one(org_id, user_id)
    if member is None:
        # Removed by somebody else in this very moment.
        raise UnknownMember
    return json_response(member, _NOT_STORED, status)
