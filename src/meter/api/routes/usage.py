"""Usage: the history as pages and exports, and sums over a period."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from meter.api.access import MemberOrOwn, gateways_of
from meter.api.admission import Access
from meter.api.authentication import BASE_PATH
from meter.api.bodies import NEGOTIATED, json_response
from meter.api.cursors import encode_position
from meter.api.exports import export_response, wanted_format
from meter.api.head_requests import is_head
from meter.api.parameters import (
    LIMIT_DEFAULT,
    EntriesQuery,
    SummaryQuery,
)
from meter.api.problems import invalid
from meter.api.routes.answers import ENTRIES_ANSWERS, answers
from meter.api.series import BUCKETS_MAX, bucket_starts, filled
from meter.api.usage_schemas import UsageSummary
from meter.credits import add
from meter.db.usage_history import LATEST, UsageFilter
from meter.db.usage_summary import SummaryQuestion, UsageSums

router = APIRouter(prefix=BASE_PATH, tags=["usage"])


@router.get("/credits/{org_id}/events", summary="The usage history, newest first", responses=ENTRIES_ANSWERS)
async def events(request: Request, access: MemberOrOwn, query: Annotated[EntriesQuery, Query()]) -> Response:
    """The ledger's entries: entry 0 is an event with its first outcome, later ones move it.

    Members see their own, admins and owners of the organization and system admins everyone's. JSON comes in
    pages, and one may be short or empty where a filter passes few entries: go on until next_cursor is null.
    CSV and NDJSON bring everything that matches and was recorded when the export began.
    """
    _refuse_empty_period(query.first, query.end or LATEST)
    history = gateways_of(request).history
    wanted = UsageFilter(
        access.org_id, _whose(access, query.user_id), query.service_type, query.outcome, query.first
    )
    chosen = wanted_format(query.format, request.headers.get("accept"))
    if chosen != "json":
        return await export_response(
            history, wanted, query.after, query.limit, chosen, only_begin=is_head(request.scope)
        )
    page = await history.page(wanted, after=query.after, limit=query.limit or LIMIT_DEFAULT)
    next_cursor = None if page.next is None else encode_position(page.next)
    return json_response({"items": page.entries, "next_cursor": next_cursor}, NEGOTIATED)


@router.get(
    "/credits/{org_id}/usage", summary="Usage added up", responses=answers(UsageSummary, 403, 404, 422)
)
async def usage(request: Request, access: MemberOrOwn, query: Annotated[SummaryQuery, Query()]) -> Response:
    """Totals, by outcome, by service, top users and a time series, by the time when the usage happened.

    Sums are signed over all entries; an event is counted once. Members see their own usage, admins and owners
    of the organization and system admins everyone's.
    """
    start, end = query.period(datetime.now(UTC))
    _refuse_empty_period(start, end)
    starts = bucket_starts(start, end, query.interval)
    if starts is None:
        raise invalid(
            "query",
            "interval",
            f"the period has more than {BUCKETS_MAX} of these; choose a longer interval",
        )
    user_id = _whose(access, query.user_id)
    summary = await gateways_of(request).summaries.summary(
        SummaryQuestion(access.org_id, user_id, start, end, query.interval, query.group_by)
    )
    return json_response(
        {
            "org_id": access.org_id,
            "user_id": user_id,
            "from": start,
            "to": end,
            "interval": query.interval,
            "group_by": query.group_by,
            "totals": _totals(summary.by_outcome),
            "by_outcome": [
                {"outcome": of.name, "events": of.events, "credits": of.credits} for of in summary.by_outcome
            ],
            "by_service": [_service(of) for of in summary.by_service],
            "top_users": [_user(of) for of in summary.top_users] if access.sees_everyone else None,
            "series": filled(summary.series, starts),
        }
    )


def _whose(access: Access, asked_for: str | None) -> str | None:
    return asked_for if access.sees_everyone else access.user_id


def _totals(by_outcome: list[UsageSums]) -> dict[str, object]:
    taken = [of.credits for of in by_outcome if of.name in ("charged", "overage")]
    return {
        "events": sum(of.events for of in by_outcome),
        "credits": reduce(add, taken, Decimal(0)),
        "unfunded_credits": reduce(add, (of.unfunded_credits for of in by_outcome), Decimal(0)),
        "api_cost": reduce(add, (of.api_cost for of in by_outcome if of.api_cost is not None), Decimal(0)),
    }


def _service(sums: UsageSums) -> dict[str, object]:
    return {
        "service_type": sums.name,
        "service_name": sums.detail,
        "events": sums.events,
        "quantity": sums.quantity,
        "credits": sums.credits,
        "unfunded_credits": sums.unfunded_credits,
        "api_cost": sums.api_cost,
    }


def _user(sums: UsageSums) -> dict[str, object]:
    return {
        "user_id": sums.name,
        "events": sums.events,
        "credits": sums.credits,
        "unfunded_credits": sums.unfunded_credits,
    }


def _refuse_empty_period(start: datetime, end: datetime) -> None:
    if start >= end:
        raise invalid("query", "from", "must be before to")
