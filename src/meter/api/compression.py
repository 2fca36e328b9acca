"""Answers in gzip for callers that take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.gzip import GZipMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

#: Bytes from which on compressing pays: what is shorter travels in one packet either way, as a balance does.
MINIMUM_BYTES = 1_400

#: Of 9. A series of 8,000 points, 780 kB, takes 3 ms and becomes 126 kB; at 4 it takes 15 and becomes 112, at
#: 6 28 and 109. Other answers are too short for it to matter.
LEVEL = 1


def compressing(app: ASGIApp) -> ASGIApp:
    """Put gzip around an app; an export is compressed piece by piece as it is read.

    Args:
        app: what comes behind.
    """
    packed = GZipMiddleware(app, minimum_size=MINIMUM_BYTES, compresslevel=LEVEL)

    async def packed_where_taken(scope: Scope, receive: Receive, send: Send) -> None:
        # Starlette's looks closely at every answer, also for who takes no gzip.
        takes = any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])
        await (packed if takes else app)(scope, receive, send)

    return packed_where_taken
