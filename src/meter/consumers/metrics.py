"""What the worker counts. No label grows with organizations or users."""

from __future__ import annotations

from collections import Counter as Tally
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from meter.consumers.lag import LagHistogram
from meter.credits import MILLION
from meter.db.outcomes import Outcome
from meter.events import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from prometheus_client import CollectorRegistry

    from meter.consumers.batch import Batch
    from meter.db.outcomes import SettledEvent

#: The service types of the contract; any other name counts as "other".
SERVICE_TYPES = frozenset(
    {
        "llm",
        "embeddings",
        "image_generation",
        "company_enrichment",
        "contact_lookup",
        "bulk_export",
        "intelligence_cache_lookup",
        "property_search",
        "valuation",
        "market_analysis",
    }
)
#: Outcomes as the counter names them: what is not settled is dead.
_COUNTED = (*(outcome.value for outcome in Outcome if outcome is not Outcome.REFUSED), "dead")
_TAKEN = (Outcome.CHARGED, Outcome.OVERAGE)

_SETTLE_BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BATCH_BUCKETS = (1, 5, 10, 50, 100, 250, 500, 1_000, 2_000, 5_000, 10_000)


class WorkerMetrics:
    """The worker's Prometheus metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them, with every value of every label at 0, so that rates are right from the first event.

        Args:
            registry: of the process.
        """
        self._events = Counter("meter_events", "Events by outcome.", ["outcome"], registry=registry)
        self._credits = Counter(
            "meter_credits", "Credits charged or taken as overage.", ["service_type"], registry=registry
        )
        self._dead = Counter("meter_dead_letters", "Dead letters written.", ["reason"], registry=registry)
        self.settle_seconds = Histogram(
            "meter_settle_seconds",
            "Seconds of one settlement, retries included.",
            buckets=_SETTLE_BUCKETS_S,
            registry=registry,
        )
        self._batch_events = Histogram(
            "meter_batch_events", "Events settled at once.", buckets=_BATCH_BUCKETS, registry=registry
        )
        self._lag = LagHistogram(registry)
        self._in_flight_events = Gauge(
            "meter_in_flight_events", "Events decoded and not yet settled.", registry=registry
        )
        self._in_flight_bytes = Gauge(
            "meter_in_flight_bytes", "Bytes of message bodies held.", registry=registry
        )
        self._queue_messages = Gauge(
            "meter_queue_messages", "Messages ready in a queue.", ["queue"], registry=registry
        )
        self.reconnects = Counter(
            "meter_reconnects", "Connections to the broker lost and built anew.", registry=registry
        )
        for outcome in _COUNTED:
            self._events.labels(outcome)
        for service_type in (*SERVICE_TYPES, "other"):
            self._credits.labels(service_type)
        for reason in RefusalReason:
            self._dead.labels(reason.value)

    def watch_holdings(self, events: Callable[[], float], size: Callable[[], float]) -> None:
        """Show what is held when asked.

        Args:
            events: counts decoded events that are not settled.
            size: counts bytes of message bodies held.
        """
        self._in_flight_events.set_function(events)
        self._in_flight_bytes.set_function(size)

    def count_batch(self, batch: Batch, outcomes: Sequence[SettledEvent]) -> None:
        """Count a batch that was committed.

        Args:
            batch: the batch.
            outcomes: one for each of its events, in order.
        """
        if outcomes:
            self._batch_events.observe(len(outcomes))
        self._lag.observe(
            [
                message.delivery.published_us
                for message in batch.messages
                if message.delivery.published_us is not None and message.decoded.events
            ]
        )
        for outcome, count in Tally(settled.outcome for settled in outcomes).items():
            if outcome is not Outcome.REFUSED:
                self._events.labels(outcome.value).inc(count)
        taken: dict[str, int] = {}
        for event, settled in zip(batch.events, outcomes, strict=True):
            if settled.outcome in _TAKEN:
                taken[event.service_type] = taken.get(event.service_type, 0) + settled.credits
        for service_type, amount in taken.items():
            label = service_type if service_type in SERVICE_TYPES else "other"
            self._credits.labels(label).inc(amount / MILLION)

    def count_dead_letters(self, reasons: Iterable[str]) -> None:
        """Count dead letters the broker has confirmed.

        Args:
            reasons: the reason of each.
        """
        for reason, count in Tally(reasons).items():
            self._dead.labels(reason).inc(count)
            if reason != RefusalReason.CONFLICT:
                self._events.labels("dead").inc(count)

    def show_depth(self, queue: str, messages: int) -> None:
        """Show how many messages are ready in a queue.

        Args:
            queue: its name.
            messages: how many.
        """
        self._queue_messages.labels(queue).set(messages)
