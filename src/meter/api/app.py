"""The app put together: routes, problems, and around them who is asking and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from meter import __version__
from meter.api import health, routes
from meter.api.authentication import BASE_PATH, Authentication
from meter.api.compression import compressing
from meter.api.cross_origin import CrossOrigin
from meter.api.head_requests import HeadRequests
from meter.api.problem_handlers import install_problem_handlers
from meter.api.problems import PROBLEM_MEDIA_TYPE
from meter.api.request_frame import RequestFrame
from meter.api.shortcut import Shortcut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from meter.api.access import Gateways
    from meter.api.authentication import Identity
    from meter.api.http_metrics import HttpMetrics
    from meter.operations import Check

_CONVENTIONS = (
    "Amounts are decimals in strings, times are RFC 3339, errors are problem details (RFC 9457), "
    "lists come in pages: hand next_cursor back as cursor."
)


class ReadApi(FastAPI):
    """The routes with their OpenAPI document.

    Args:
        description: what the document says first.
    """

    def __init__(self, description: str = "Balances and usage of organizations, read only.") -> None:
        super().__init__(
            title="meter",
            version=__version__,
            description=f"{description} {_CONVENTIONS}",
            openapi_url="/openapi.json",
            # Their pages load scripts from elsewhere, which our own headers forbid.
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
        )
        for router in (
            routes.balances,
            routes.usage,
            routes.billing,
            routes.organizations,
            routes.subscriptions,
            health.router,
        ):
            self.include_router(router)
        install_problem_handlers(self)

    def openapi(self) -> dict[str, Any]:
        """Describe the API, with problems under their own media type and the token where it is needed."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["securitySchemes"] = {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token of the issuer, or the API key of a service.",
                }
            }
            # FastAPI's own form of a refusal, which no answer of ours has.
            for name in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(name, None)
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _finish(operation, protected=path.startswith(BASE_PATH))
        return self.openapi_schema or {}


def build_app(
    gateways: Gateways,
    identity: Identity,
    metrics: HttpMetrics,
    checks: Mapping[str, Check],
    api: ReadApi | None = None,
) -> ASGIApp:
    """Build the app that is served.

    Args:
        gateways: the database.
        identity: tells who is asking, and how often they may.
        metrics: where requests are counted.
        checks: what must hold for the API to be ready.
        api: the routes; those that read where it is None.

    Returns:
        An ASGI app.
    """
    api = api or ReadApi()
    api.state.gateways = gateways
    api.state.checks = checks
    known = compressing(Authentication(Shortcut(api), identity))
    origins = identity.cors_origins
    return HeadRequests(RequestFrame(CrossOrigin(known, origins) if origins else known, metrics))


def _finish(operation: dict[str, Any], *, protected: bool) -> None:
    if protected:
        operation["security"] = [{"bearer": []}]
    if PROBLEM_MEDIA_TYPE not in operation["responses"].get("422", {}).get("content", {}):
        operation["responses"].pop("422", None)
    for answer in operation["responses"].values():
        content = answer.get("content", {})
        if PROBLEM_MEDIA_TYPE in content:
            content[PROBLEM_MEDIA_TYPE] |= content.pop("application/json")
