"""Whether the process lives and can answer, for load balancers; without a token."""

from collections.abc import Mapping

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from meter.api.databases import ReadDatabases
from meter.db.migrate import schema_is_current
from meter.db.reader import ReaderConnections
from meter.operations import Check, readiness_response

router = APIRouter(tags=["health"])


def _answer(description: str, example: dict[str, object]) -> dict[str, object]:
    body = {"schema": {"type": "object"}, "example": example}
    return {"description": description, "content": {"application/json": body}}


@router.get("/livez", summary="The process runs", responses={200: _answer("It does.", {"alive": True})})
async def livez() -> Response:
    """Asks nobody else: restart the process when this fails."""
    return JSONResponse({"alive": True})


@router.get(
    "/readyz",
    summary="Requests can be answered",
    responses={
        200: _answer("They can.", {"ready": True, "checks": {"database": "ok"}}),
        503: _answer(
            "They cannot, and why.", {"ready": False, "checks": {"database": "no answer within 5 s"}}
        ),
    },
)
async def readyz(request: Request) -> Response:
    """The database is reachable and has the schema of this version: send requests while this holds."""
    return await readiness_response(request.app.state.checks)


def checks_of(pool: ReaderConnections) -> Mapping[str, Check]:
    """List what must hold for the API to be ready.

    Args:
        pool: its connections.
    """

    async def schema() -> str | None:
        if await schema_is_current(pool):
            return None
        return "the database does not have the schema of this version; run: meter migrate"

    return {"database": schema}


def checks_of_databases(databases: ReadDatabases) -> Mapping[str, Check]:
    """List the same for what is read and, where that is a replica, for the primary.

    Args:
        databases: what is read.
    """
    checks = checks_of(databases.replica)
    if databases.replica is databases.primary:
        return checks
    return {**checks, "primary": checks_of(databases.primary)["database"]}
