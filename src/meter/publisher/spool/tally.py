"""Counts what becomes of the events of a spool; whoever counts holds the outbox's lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meter.publisher.outbox import Counters
from meter.publisher.spool.framing import Damage

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Tally:
    """Running numbers; of our own events unless they say otherwise."""

    recorded: int = 0
    recorded_bytes: int = 0
    taken: int = 0  #: read from the files, in the order in which they were recorded
    confirmed: int = 0
    confirmed_bytes: int = 0
    lost: int = 0  #: damaged in the file before they were read
    refused: int = 0
    retried: int = 0
    returned: int = 0
    adopted: int = 0
    adopted_confirmed: int = 0
    torn: int = 0
    corrupt: int = 0

    @property
    def unread(self) -> int:
        """How many events are in the files and were not read yet."""
        return self.recorded - self.taken

    def count_taken(self, events: int, *, own: bool) -> None:
        """Count events that were read."""
        if own:
            self.taken += events
        else:
            self.adopted += events

    def count_lost(self, events: int) -> None:
        """Count events that were damaged in the file; they are read past."""
        self.taken += events
        self.lost += events

    def count_confirmed(self, events: Sequence[bytes], *, own: bool) -> None:
        """Count events that the broker has."""
        if own:
            self.confirmed += len(events)
            self.confirmed_bytes += sum(map(len, events))
        else:
            self.adopted_confirmed += len(events)

    def count_damage(self, damage: Damage, *, first: bool) -> None:
        """Count a damaged file, once."""
        if damage is Damage.TORN:
            self.torn += 1
        elif first:
            self.corrupt += 1

    def counters(self) -> Counters:
        """What the publisher shows."""
        buffered = self.recorded - self.confirmed - self.lost
        return Counters(
            recorded=self.recorded,
            confirmed=self.confirmed,
            buffered=buffered,
            buffered_bytes=self.recorded_bytes - self.confirmed_bytes if buffered else 0,
            dropped=self.refused,
            retried=self.retried,
            returned=self.returned,
            spooled=self.recorded,
            spool_refused=self.refused,
            spool_adopted=self.adopted,
            spool_adopted_confirmed=self.adopted_confirmed,
            spool_torn=self.torn,
            spool_corrupt=self.corrupt,
        )
