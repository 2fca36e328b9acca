"""What changes of organizations and their members are sent, and what they answer."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from meter.admin.request_bodies import WHOLE, Asked
from meter.api.schemas import Answer, Role
from meter.events.fields import OrganizationId, Text100, Text255

#: PostgreSQL's integer.
_SEATS_MAX = 2**31 - 1

DisplayName = Annotated[Text255, StringConstraints(max_length=200)]


class CreateOrganization(Asked):
    """An organization with an empty pool."""

    org_id: OrganizationId = Field(examples=["acme"])
    name: Text100 | None = Field(default=None, description="Unique; the id where absent.")
    display_name: DisplayName | None = Field(
        default=None, description="What people read; the name where absent."
    )
    max_seats: Annotated[int, Field(strict=True, ge=1, le=_SEATS_MAX), WHOLE] | None = Field(
        default=None, description="Members at most; no bound where absent."
    )
    owner: Text255 | None = Field(
        default=None, description="Who becomes its owner: the caller; system admins may name somebody else."
    )


class OrganizationCreated(Answer):
    """The organization as it begins."""

    org_id: str = Field(examples=["acme"])
    name: str
    display_name: str
    max_seats: int | None
    status: Literal["active"]
    owner: str


class AddMember(Asked):
    """A user who becomes a member."""

    user_id: Text255 = Field(examples=["ann@example.com"])
    role: Role = "member"


class ChangeRole(Asked):
    """What a member may do from now on."""

    role: Role
