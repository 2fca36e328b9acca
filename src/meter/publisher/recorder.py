"""``record``: what the asynchronous and the blocking publisher have in common."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from uuid_utils import uuid7

from meter.errors import ConfigurationError
from meter.nodes import Nodes, Urls
from meter.publisher.encoding import Amount, KeySource, OutgoingEvent, UsageFields, encode, judge
from meter.publisher.lifetime import watch_over
from meter.publisher.link import CONFIRM_SECONDS
from meter.publisher.outbox import Counters, Outbox, Refused
from meter.publisher.sender import Sender
from meter.publisher.spool_settings import SPOOL_MAX_BYTES, FsyncPolicy, SpoolSettings
from meter.publisher.throttle import Throttle
from meter.publisher.voiding import OutgoingVoid, VoidFields, encode_void

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from meter.publisher.spool import SpoolOutbox

log = logging.getLogger("meter.publisher")

#: Events kept while the broker is away: over three minutes of 1,000 a second.
BUFFER_MAX_EVENTS = 200_000
#: Encoded bytes kept while the broker is away; Python needs about half as much again to hold them.
BUFFER_MAX_BYTES = 64 * 1_048_576


class Recorder:
    """Accepts usage events from any thread and keeps them until the broker has confirmed them."""

    def __init__(  # noqa: PLR0913 - settings, by name
        self,
        url: Urls,
        *,
        source: str,
        name: str | None = None,
        max_events: int = BUFFER_MAX_EVENTS,
        max_bytes: int = BUFFER_MAX_BYTES,
        confirm_seconds: float = CONFIRM_SECONDS,
        spool: str | os.PathLike[str] | None = None,
        spool_max_bytes: int = SPOOL_MAX_BYTES,
        spool_fsync: FsyncPolicy | str = FsyncPolicy.EVERY_10_MS,
    ) -> None:
        """Prepare a publisher; nothing is connected yet.

        Args:
            url: the broker, ``amqp://`` or ``amqps://``; several nodes of a cluster separated by commas, each
                tried when another fails. Or a function that returns it, called for every connection: for a
                password that is changed while the service runs.
            source: who publishes, 1 to 128 characters; part of the identity of events with ids of your own.
            name: how operators see the connection at the broker; ``meter publisher <source>`` by default.
            max_events: how many unconfirmed events are kept before ``record`` refuses.
            max_bytes: how many encoded bytes of them are kept.
            confirm_seconds: how long the broker may take to confirm before the connection is built anew.
            spool: a folder on a local disk where accepted events lie until they are confirmed, so that
                neither the end of the process nor a long absence of the broker loses one. Processes of one
                user may share it: what one leaves behind another sends. It takes the place of the buffer in
                memory and of its two bounds.
            spool_max_bytes: how many bytes the folder may hold before ``record`` refuses.
            spool_fsync: what a power cut may cost, by ``FsyncPolicy``.

        Raises:
            ConfigurationError: the address, the source, the folder or a bound cannot be used.
        """
        if not 1 <= len(source) <= 128:
            raise ConfigurationError("the publisher's source must have 1 to 128 characters")
        if min(max_events, max_bytes) < 1 or confirm_seconds <= 0:
            raise ConfigurationError("the publisher's bounds must be positive")
        self._nodes = Nodes(url)
        self._source = source
        self._name = name or f"meter publisher {source}"
        self._confirm_seconds = confirm_seconds
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._spool = SpoolSettings.checked(spool, spool_max_bytes, spool_fsync)
        self._refusal = Throttle()
        self._begin()

    def record(  # noqa: PLR0913 - the fields of the contract, by name
        self,
        org_id: str,
        user_id: str,
        service_type: str,
        *,
        service_name: str | None = None,
        quantity: Amount | None = None,
        credits: Amount | None = None,
        api_cost: Amount | None = None,
        key_source: KeySource | None = None,
        request_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        id: str | None = None,
        source: str | None = None,
        time: datetime | None = None,
    ) -> str | None:
        """Record one usage event; returns at once, whatever the broker does.

        Args:
            org_id: the organization that pays.
            user_id: who used the service.
            service_type: ``llm``, ``embeddings``, ``company_enrichment``, … or any other.
            service_name: model, provider or variant.
            quantity: units of the service; 1 when absent.
            credits: charge exactly this many; otherwise the price book rates the event.
            api_cost: what the provider charged us, in USD.
            key_source: whose provider key was used; by the organization's plan when absent.
            request_id: the caller's request.
            metadata: anything JSON can hold, up to 8 KiB: ``model``, ``input_tokens``, ``output_tokens``, …
            id: the event's identity; a new UUIDv7 when absent. The same event must come with the same id.
            source: who publishes; the publisher's own source when absent.
            time: when the usage happened, with a UTC offset; now when absent.

        Returns:
            The event's id when it was accepted: it is sent until the broker confirms it. None when it was
            refused: the buffer or the spool is full (counted as dropped), or the publisher is closed; both
            are logged.

        Raises:
            InvalidUsageEvent: the arguments break the contract (a ``ValueError``). This is about the call and
                never about the broker: it would fail every time, and a lost event must not be a silent one.
        """
        event = OutgoingEvent(
            str(uuid7()) if id is None else id,
            self._source if source is None else source,
            org_id,
            datetime.now(UTC) if time is None else time,
            UsageFields(
                user_id,
                service_type,
                service_name,
                quantity,
                credits,
                api_cost,
                key_source,
                request_id,
                metadata,
            ),
        )
        encoded = encode(event, own_identity=id is None and source is None and time is None)
        refused = self._outbox.add(org_id, encoded)
        if refused is None:
            return event.id
        self._complain(refused)
        return None

    def forward(self, event: bytes) -> bool:
        """Publish an event that is already written by the contract, exactly as it is.

        Args:
            event: the JSON of one CloudEvent.

        Returns:
            Whether it was accepted, as with ``record``.

        Raises:
            InvalidUsageEvent: it breaks the contract.
        """
        refused = self._outbox.add(judge(event), event)
        if refused is not None:
            self._complain(refused)
        return refused is None

    def void(
        self,
        org_id: str,
        target_id: str,
        *,
        reason: str,
        target_source: str | None = None,
        id: str | None = None,
    ) -> str | None:
        """Take an earlier event back, or one that comes later; what it took is given back, once.

        Args:
            org_id: the organization that paid.
            target_id: the id of the event, as ``record`` returned it.
            reason: why, for people; kept in the ledger.
            target_source: who published the event; the publisher's own source when absent.
            id: the void's own identity; a new UUIDv7 when absent.

        Returns:
            The void's id when it was accepted, None when it was refused; as with ``record``.

        Raises:
            InvalidUsageEvent: the arguments break the contract (a ``ValueError``).
        """
        target = VoidFields(self._source if target_source is None else target_source, target_id, reason)
        void = OutgoingVoid(
            str(uuid7()) if id is None else id, self._source, org_id, datetime.now(UTC), target
        )
        return void.id if self.forward(encode_void(void)) else None

    @property
    def counters(self) -> Counters:
        """What became of the events so far."""
        return self._outbox.counters

    @property
    def has_room(self) -> bool:
        """Whether at least half of the buffer is free."""
        return self._outbox.has_room

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._source!r} to {self._nodes.place}>"

    def begin_in_child(self) -> None:
        """Called in a child that the process forked; nothing to call by hand."""
        # In a forked child there is no thread, a lock may be held by nobody, and what was buffered is the
        # parent's to send.
        closed = self._outbox.is_closed
        self._begin()
        if closed:
            self._outbox.close()

    def finish_at_exit(self, timeout: float) -> None:  # noqa: ARG002 - there is nothing to wait for
        """Called when the interpreter exits; nothing to call by hand."""
        self._report_end()

    def _begin(self) -> None:
        self._ended = False
        self._outbox = self._new_outbox()
        watch_over(self)

    def _new_outbox(self) -> Outbox | SpoolOutbox:
        if self._spool is None:
            return Outbox(max_events=self._max_events, max_bytes=self._max_bytes, wake=self._wake)
        return self._spool.outbox(self._wake)

    def _wake(self) -> None:
        """Told that the first event was accepted while nothing sends yet."""

    def _new_sender(self) -> Sender:
        # A forked child begins elsewhere than its parent.
        self._nodes.begin()
        return Sender(self._outbox, nodes=self._nodes, name=self._name, confirm_seconds=self._confirm_seconds)

    def _complain(self, refused: Refused) -> None:
        if not self._refusal.lets_pass():
            return
        if refused is Refused.CLOSED:
            log.warning("a usage event was refused: the publisher is closed")
            return
        counters = self.counters
        if refused is Refused.SPOOL:
            log.error("usage events are being refused, so far %d: %s", counters.dropped, self._outbox.trouble)
            return
        log.warning(
            "usage events are being dropped: %d events (%d bytes) already wait for the broker at %s, "
            "and the buffer holds no more; dropped so far: %d",
            counters.buffered,
            counters.buffered_bytes,
            self._nodes.place,
            counters.dropped,
        )

    def _report_end(self) -> None:
        left, ended, self._ended = self.counters.buffered, self._ended, True
        self._outbox.end()
        if not left or ended:
            return
        place = self._nodes.place
        if self._spool is None:
            log.error("the publisher closed with %d usage events that %s never confirmed", left, place)
        else:
            log.warning(
                "the publisher closed with %d usage events that %s has not confirmed; they are kept in %s "
                "and sent by the next publisher that opens on it",
                left,
                place,
                self._spool.folder,
            )
