"""The control plane put together: what the read API has, and the routes that write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meter.admin import routes
from meter.admin.problem_handlers import allowed_methods, install_write_problem_handlers
from meter.admin.routes.answers import read_not_allowed
from meter.api.app import ReadApi, build_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp

    from meter.admin.gateways import Writes
    from meter.api.access import Gateways
    from meter.api.authentication import Identity
    from meter.api.http_metrics import HttpMetrics
    from meter.operations import Check


class AdminApi(ReadApi):
    """All routes with their OpenAPI document."""

    def __init__(self) -> None:
        super().__init__(
            "Everything of meter api, and the writes. A POST that moves credits needs an Idempotency-Key: "
            "the same key with the same body happens once and is answered alike."
        )
        for router in (
            *(routes.pools, routes.charges),
            *(routes.subscriptions, routes.organizations, routes.members),
        ):
            self.include_router(router)
        install_write_problem_handlers(self)

    def openapi(self) -> dict[str, Any]:
        """Describe the API; here no method is refused because nothing is written."""
        if self.openapi_schema is None:
            for operations in super().openapi()["paths"].values():
                answers = operations.get("get", {}).get("responses", {})
                if "405" in answers:
                    answers["405"] = read_not_allowed(allowed_methods(operations))
        return super().openapi()


def build_admin_app(
    gateways: Gateways,
    writes: Writes,
    identity: Identity,
    metrics: HttpMetrics,
    checks: Mapping[str, Check],
) -> ASGIApp:
    """Build the app that is served.

    Args:
        gateways: the database as reads know it.
        writes: the database as writes know it.
        identity: tells who is asking, and how often they may.
        metrics: where requests are counted.
        checks: what must hold for the process to be ready.

    Returns:
        An ASGI app.
    """
    api = AdminApi()
    api.state.writes = writes
    return build_app(gateways, identity, metrics, checks, api)
