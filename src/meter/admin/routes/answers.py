"""What each write can be sent and can answer, for the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meter.admin.idempotency import HEADER, KEY_PATTERN
from meter.admin.request_bodies import described
from meter.admin.schemas import WriteProblem
from meter.api.problems import PROBLEM_MEDIA_TYPE, STATUS, TITLE, TYPE_PREFIX, Kind
from meter.api.routes.answers import Answers, answers
from meter.api.schemas import ProblemDetails

if TYPE_CHECKING:
    from pydantic import BaseModel

    from meter.admin.request_bodies import Asked

_KEYED = (
    Kind.IDEMPOTENCY_KEY_MISSING,
    Kind.REQUEST_RUNNING,
    Kind.BODY_TOO_LARGE,
    Kind.UNSUPPORTED_MEDIA_TYPE,
    Kind.INVALID_REQUEST,
    Kind.IDEMPOTENCY_KEY_REUSED,
    Kind.METHOD_NOT_ALLOWED,
)
_EXAMPLE: dict[Kind, dict[str, object]] = {
    Kind.IDEMPOTENCY_KEY_MISSING: {
        "detail": "send one Idempotency-Key of 1 to 128 visible ASCII characters, such as a UUID: "
        "a new one for each write, and the same again when you try again"
    },
    Kind.REQUEST_RUNNING: {"detail": "try again in 1 s with the same Idempotency-Key"},
    Kind.BODY_TOO_LARGE: {"detail": "the body must be at most 65,536 bytes"},
    Kind.UNSUPPORTED_MEDIA_TYPE: {"detail": "send JSON: Content-Type: application/json"},
    Kind.INVALID_REQUEST: {
        "detail": "credits: must not be negative",
        "errors": [{"place": "body", "name": "credits", "detail": "must not be negative"}],
    },
    Kind.IDEMPOTENCY_KEY_REUSED: {"detail": "use a new Idempotency-Key for a new request"},
    Kind.METHOD_NOT_ALLOWED: {"detail": "here is only POST"},
    Kind.ORGANIZATION_CLOSED: {"detail": "nothing of a closed organization changes any more"},
    Kind.NOT_A_MEMBER: {"detail": "add the user to the organization first"},
    Kind.PAYMENT_REFERENCE_USED: {
        "detail": "credits were added for this payment_reference before; look for it in the billing history"
    },
    Kind.TAKEN_BACK: {"detail": "the charge with this key was taken back; use a new key for a new charge"},
    Kind.INSUFFICIENT_CREDITS: {
        "detail": "the user's allocation has fewer credits left; nothing was written, "
        "and the same Idempotency-Key may be used again",
        "reason": "allocation_exhausted",
    },
    Kind.ALLOCATION_EXCEEDS_POOL: {
        "detail": "the pool has 40 credits that are promised to nobody else; "
        "the highest limit that fits is 52.5",
        "available": "40",
        "largest": "52.5",
    },
    Kind.REVERSAL_TOO_LARGE: {
        "detail": "at most 250 credits and 0.25 USD can be taken back",
        "largest": "250",
        "largest_purchase_amount": "0.25",
    },
}
_EXAMPLE |= {
    Kind.FORBIDDEN: {"detail": "only admins and owners of the organization may do this"},
    Kind.PRECONDITION_FAILED: {
        "detail": "the subscription changed since it was read. Read it again and decide anew."
    },
    Kind.SUBSCRIPTION_CONFLICT: {"detail": "the subscription is paused. Resume it to change it."},
    Kind.LAST_OWNER: {
        "detail": 'user "ann" is the last owner of organization "acme". Appoint another owner first.'
    },
    Kind.SEATS_TAKEN: {"detail": 'all 25 seats of organization "acme" are taken. Remove a member first.'},
    Kind.MEMBER_ALREADY: {"detail": 'user "ann" is a member already, as admin. Change the role instead.'},
    Kind.ORGANIZATION_TAKEN: {"detail": 'organization id "acme" or name "acme" is taken'},
}
_WITH_BODY = (Kind.BODY_TOO_LARGE, Kind.UNSUPPORTED_MEDIA_TYPE)
_HEADERS = {
    Kind.METHOD_NOT_ALLOWED: ("Allow", "What can be done here."),
    Kind.REQUEST_RUNNING: ("Retry-After", "Seconds; only where the first request is still running."),
}


def keyed_answers(body: type[BaseModel], *statuses: int, kinds: tuple[Kind, ...] = ()) -> Answers:
    """List what a write with an Idempotency-Key can answer.

    Args:
        body: the model of its body.
        statuses: with which it refuses as reads do.
        kinds: with which it refuses beside what every such write does.
    """
    listed = answers(body, *statuses)
    listed[200]["headers"] = {
        "Idempotency-Replayed": {
            "description": "true where an earlier request made the change, and this is its answer.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
    of_status: dict[int, list[Kind]] = {}
    for kind in (*_KEYED, *kinds):
        of_status.setdefault(int(STATUS[kind]), []).append(kind)
    for status, alike in of_status.items():
        listed[status] = _refusal(alike)
    return listed


def change_answers(
    body: type[BaseModel] | None,
    *statuses: int,
    kinds: tuple[Kind, ...],
    status: int = 200,
    takes_body: bool = True,
) -> Answers:
    """List what a write without an Idempotency-Key can answer: made again, it changes nothing or is refused.

    Args:
        body: the model of its body; None where it has none.
        statuses: with which it refuses as reads do, beside 403.
        kinds: with which it refuses beside what every such write does.
        status: when it is done.
        takes_body: whether it is sent something.
    """
    listed = answers(body or WriteProblem, *statuses)
    done = listed.pop(200)
    of_status: dict[int, list[Kind]] = {}
    always = (Kind.FORBIDDEN, Kind.INVALID_REQUEST, Kind.METHOD_NOT_ALLOWED)
    for kind in (*always, *(_WITH_BODY if takes_body else ()), *kinds):
        of_status.setdefault(int(STATUS[kind]), []).append(kind)
    for refused, alike in of_status.items():
        listed[refused] = _refusal(alike)
    return {status: done if body else {"description": "Done."}} | listed


def version_headers(listed: Answers, status: int = 200) -> Answers:
    """Say that an answer has the version of what it tells.

    Args:
        listed: what the route can answer.
        status: of the answer.
    """
    listed[status]["headers"] = {
        "ETag": {"description": "For If-Match of the next change.", "schema": {"type": "string"}}
    }
    return listed


def read_not_allowed(methods: str) -> dict[str, Any]:
    """Say how a read answers another method here, where it is not all that can be done.

    Args:
        methods: what can be done at its address.
    """
    problem = {**_example(Kind.METHOD_NOT_ALLOWED), "detail": f"here is only {methods}"}
    return {
        "description": TITLE[Kind.METHOD_NOT_ALLOWED],
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "example": problem,
                "schema": {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"},
            }
        },
        "headers": {"Allow": {"description": methods, "schema": {"type": "string"}}},
    }


def keyed_request(body: type[Asked], example: dict[str, object]) -> dict[str, Any]:
    """Describe what a write with an Idempotency-Key is sent.

    Args:
        body: what its body must be.
        example: one that is right.
    """
    header = {
        "name": HEADER,
        "in": "header",
        "required": True,
        "description": "A new one for each write, the same again when you try again: then it happens once.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
        "example": "019a1c3e-5b7a-7e21-9c40-6f1d2b3a4c5d",
    }
    return {"parameters": [header], "requestBody": described(body, example)}


def _refusal(kinds: list[Kind]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "model": WriteProblem,
        "description": "; ".join(TITLE[kind] for kind in kinds),
        "content": {
            PROBLEM_MEDIA_TYPE: {"examples": {str(kind): {"value": _example(kind)} for kind in kinds}}
        },
    }
    headers = dict(_HEADERS[kind] for kind in kinds if kind in _HEADERS)
    if headers:
        answer["headers"] = {
            name: {"description": what, "schema": {"type": "string"}} for name, what in headers.items()
        }
    return answer


def _example(kind: Kind) -> dict[str, object]:
    return {"type": TYPE_PREFIX + kind, "title": TITLE[kind], "status": int(STATUS[kind]), **_EXAMPLE[kind]}
