"""Which problem each error of a request becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from meter.api.problems import Fault, Kind, Problem, database_unavailable, read_only
from meter.db.reading import ReadTookTooLong
from meter.db.refusals import DatabaseNotReachable
from meter.errors import InvalidArgument
from meter.telemetry import get_logger

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

log = get_logger(__name__)


def install_problem_handlers(app: FastAPI) -> None:
    """Answer every error with a problem.

    Args:
        app: the app whose errors they are.
    """
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(InvalidArgument, _refused_argument)
    app.add_exception_handler(DatabaseNotReachable, _database_unavailable)
    app.add_exception_handler(ReadTookTooLong, _took_too_long)
    app.add_exception_handler(Exception, _broken)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - what it is registered for
    return error.response()


async def _http(request: Request, _error: Exception) -> Response:
    """The router's own: no such route, or not with this method."""
    if request.method != "GET":
        return read_only().response()
    return Problem(Kind.NOT_FOUND, "there is nothing at this address").response()


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what it is registered for
    faults = tuple(
        Fault(
            place=str(fault["loc"][0]),
            name=str(fault["loc"][1]) if len(fault["loc"]) > 1 else "",
            detail=str(fault["msg"]),
        )
        for fault in error.errors()
    )
    detail = "; ".join(f"{fault.name}: {fault.detail}" for fault in faults)
    return Problem(Kind.INVALID_REQUEST, detail, faults).response()


async def _refused_argument(_request: Request, error: Exception) -> Response:
    return Problem(Kind.INVALID_REQUEST, str(error)).response()


async def _database_unavailable(_request: Request, error: Exception) -> Response:
    log.warning("database unavailable", reason=str(error))
    return database_unavailable().response()


async def _took_too_long(_request: Request, error: Exception) -> Response:
    log.warning("read took too long")
    return Problem(Kind.TOOK_TOO_LONG, str(error)).response()


async def _broken(_request: Request, _error: Exception) -> Response:
    return Problem(Kind.INTERNAL_ERROR, "please report it with the X-Request-ID of this response").response()
