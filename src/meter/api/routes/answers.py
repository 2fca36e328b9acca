"""What each route can answer, for the OpenAPI document."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from meter.api.examples import example_of
from meter.api.problems import PROBLEM_MEDIA_TYPE, STATUS, TITLE, TYPE_PREFIX, Kind
from meter.api.schemas import ProblemDetails
from meter.api.usage_schemas import UsageEntry, UsageEntryPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

#: What every route can answer beside its own.
_ALWAYS = (401, 405, 429, 500, 503, 504)

_EXAMPLE_DETAIL = {
    Kind.UNAUTHENTICATED: "the token has expired",
    Kind.FORBIDDEN: "members see only their own usage",
    Kind.NOT_FOUND: "no organization of yours has this id",
    Kind.TOO_MANY_REQUESTS: "100 reads a minute are allowed; try again in 42 seconds",
    Kind.READ_ONLY: "meter api only reads; writes go to the control plane (meter admin)",
    Kind.INVALID_REQUEST: "limit: Input should be less than or equal to 1000",
    Kind.INTERNAL_ERROR: "please report it with the X-Request-ID of this response",
    Kind.ISSUER_UNAVAILABLE: "the issuer of tokens was not reached yet; try again in a few seconds",
    Kind.DATABASE_UNAVAILABLE: "the database cannot answer now; try again in a few seconds",
    Kind.TOOK_TOO_LONG: "The database did not finish in time; ask for less, for instance a shorter period.",
}
_HEADERS: dict[Kind, dict[str, str]] = {
    Kind.UNAUTHENTICATED: {"WWW-Authenticate": "A Bearer challenge."},
    Kind.READ_ONLY: {"Allow": "GET, HEAD"},
    Kind.TOO_MANY_REQUESTS: {
        "Retry-After": "Seconds.",
        "RateLimit": "What is left of which limit, and seconds until there is more.",
        "RateLimit-Policy": "The limit.",
    },
    Kind.ISSUER_UNAVAILABLE: {"Retry-After": "Seconds."},
    Kind.DATABASE_UNAVAILABLE: {"Retry-After": "Seconds."},
}

Answers = dict[int | str, dict[str, Any]]


def answers(body: type[BaseModel], *refusals: int, not_modified: bool = False) -> Answers:
    """List what a route can answer.

    Args:
        body: the model of its body.
        refusals: the statuses with which it refuses, beside those of every route.
        not_modified: whether it honours If-None-Match.
    """
    listed: Answers = {
        200: {
            "model": body,
            "description": body.__doc__,
            "content": {"application/json": {"example": example_of(body)}},
        }
    }
    if not_modified:
        listed[200]["headers"] = {"ETag": _header("Of what is answered.")}
        listed[304] = {
            "description": "What the caller has already.",
            "headers": {"ETag": _header("The same.")},
        }
    for status in sorted({*refusals, *_ALWAYS}):
        listed[status] = _refusal([kind for kind in _EXAMPLE_DETAIL if STATUS[kind] == status])
    return listed


def _refusal(kinds: list[Kind]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "model": ProblemDetails,
        "description": "; ".join(TITLE[kind] for kind in kinds),
        "content": {PROBLEM_MEDIA_TYPE: _examples_of({kind: _example(kind) for kind in kinds})},
    }
    headers = {name: what for kind in kinds for name, what in _HEADERS.get(kind, {}).items()}
    if headers:
        answer["headers"] = {name: _header(what) for name, what in headers.items()}
    return answer


def _examples_of(problems: Mapping[Kind, dict[str, object]]) -> dict[str, Any]:
    """What a status can mean, as OpenAPI has it: one example, or several by name."""
    if len(problems) == 1:
        return {"example": next(iter(problems.values()))}
    return {"examples": {str(kind): {"value": problem} for kind, problem in problems.items()}}


def _example(kind: Kind) -> dict[str, object]:
    example: dict[str, object] = {
        "type": TYPE_PREFIX + kind,
        "title": TITLE[kind],
        "status": int(STATUS[kind]),
        "detail": _EXAMPLE_DETAIL[kind],
    }
    if kind is Kind.INVALID_REQUEST:
        name, _, detail = _EXAMPLE_DETAIL[kind].partition(": ")
        example["errors"] = [{"place": "query", "name": name, "detail": detail}]
    return example


def _header(what: str) -> dict[str, object]:
    return {"description": what, "schema": {"type": "string"}}


def _csv(entry: dict[str, Any]) -> str:
    text = io.StringIO()
    values = (
        "" if value is None else json.dumps(value) if isinstance(value, dict) else value
        for value in entry.values()
    )
    csv.writer(text).writerows([entry, values])
    return text.getvalue()


_ENTRY = example_of(UsageEntry)
ENTRIES_ANSWERS = answers(UsageEntryPage, 403, 404, 422)
ENTRIES_ANSWERS[200]["content"] |= {
    "text/csv": {
        "schema": {"type": "string"},
        "example": _csv(_ENTRY),
    },
    "application/x-ndjson": {
        "schema": {"type": "string"},
        "example": json.dumps(_ENTRY, separators=(",", ":")) + "\n",
    },
}
