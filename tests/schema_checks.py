"""What schemathesis checks beside its own checks; loaded by it, see schemathesis.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, Response


class Known(NamedTuple):
    """A fault of a request that its schema allows."""

    place: str
    name: str
    detail_begins: str
    why: str


REFUSED_THOUGH_THE_SCHEMA_ALLOWS_IT = (
    Known("query", "cursor", "must be the next_cursor", "opaque: its schema says how long it may be"),
    Known("query", "from", "must be before to", "JSON Schema cannot compare two parameters"),
    Known("query", "interval", "the period has more than 1000", "nor can it measure the time between them"),
    Known("query", "user_id", "an API key is nobody", "needed from services, optional for people"),
    Known("body", "payment_reference", "is needed where an admin", "needed from some callers only"),
    *(
        Known(
            *("body", name, detail_begins),
            "multipleOf would say it of a number, but validators count in binary and refuse right ones",
        )
        for name, detail_begins in (
            ("credits", "must have at most six decimal places"),
            ("purchase_amount", "must have at most six decimal places"),
            ("monthly_price", "must have at most six decimal places"),
            ("monthly_price", "must be from 0 to 9999999999.99 with at most two decimal places"),
        )
    ),
)
#: What the database refuses names no field: of which type, how its detail begins, and why no schema says it.
REFUSED_BY_THE_DATABASE = (
    ("idempotency-key-reused", "", "no schema knows earlier requests"),
    ("invalid-request", "trial_days must be from 0 to 90", "system admins may give more"),
)


@schemathesis.check
def a_well_formed_request_is_422_for_a_known_reason_only(
    _context: CheckContext, response: Response, case: Case
) -> bool | None:
    """Fail where 422 answers what the schema allows, but for what no schema can say."""
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return None
    problem = response.json()
    if "errors" not in problem:
        assert any(
            problem["type"].endswith(f":{kind}") and problem["detail"].startswith(detail_begins)
            for kind, detail_begins, _why in REFUSED_BY_THE_DATABASE
        ), f"refused though the schema allows it: {problem}"
    for fault in problem.get("errors", ()):
        assert any(
            (fault["place"], fault["name"]) == (known.place, known.name)
            and fault["detail"].startswith(known.detail_begins)
            for known in REFUSED_THOUGH_THE_SCHEMA_ALLOWS_IT
        ), f"refused though the schema allows it: {fault}"
    return None


@schemathesis.check
def a_fault_of_ours_names_its_request(_context: CheckContext, response: Response, _case: Case) -> bool | None:
    """Fail on 5xx with the id under which the server's log has the request."""
    assert response.status_code < 500, f"X-Request-ID: {response.headers['x-request-id'][0]}"
    return None
