"""Requests as Prometheus sees them, by route template and never by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Seconds. A balance takes about a millisecond, an export minutes.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300)


class HttpMetrics:
    """Counts and times requests.

    Args:
        registry: where the metrics are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "meter_http_requests_total",
            "HTTP requests by route template and status.",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "meter_http_request_seconds",
            "Seconds until a response was sent in full, by route template.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        #: Looking a label up takes the client library longer than counting.
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def note(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request.

        Args:
            method: the HTTP method; any that HTTP does not know counts as ``OTHER``.
            route: the route's template.
            status: the HTTP status.
            seconds: until the response was sent in full.
        """
        known = method if method in _METHODS else "OTHER"
        counted = self._known.get((known, route, status))
        if counted is None:
            counted = self._requests.labels(known, route, str(status)), self._seconds.labels(known, route)
            self._known[known, route, status] = counted
        requests, durations = counted
        requests.inc()
        durations.observe(seconds)
