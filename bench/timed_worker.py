"""``meter worker``, which also writes down when the settlement of each event began and when it returned.

The worker's own histogram is too coarse for a 99th percentile. Everything runs as in ``meter worker``; only
the class that settles is replaced by one that looks at the clock.
"""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

from meter.cli.commands import meter
from meter.consumers import worker
from meter.db.settlement import Settlement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from meter.db.outcomes import SettledEvent
    from meter.events import Event

#: By threes, microseconds since 1970: when an event happened, when its settlement began, when it returned.
COMMITTED = array("q")


class TimedSettlement(Settlement):
    """Looks at the clock before and after."""

    async def settle(self, events: Sequence[Event]) -> list[SettledEvent]:
        """Settle a batch and note the moments for each of its events."""
        began = time.time_ns() // 1_000
        settled = await super().settle(events)
        ended = time.time_ns() // 1_000
        for event in events:
            COMMITTED.extend((round(event.occurred_at.timestamp() * 1e6), began, ended))
        return settled


if __name__ == "__main__":
    vars(worker)["Settlement"] = TimedSettlement
    file = Path(sys.argv[1])
    try:
        meter(["worker"], prog_name="meter")
    finally:
        file.write_bytes(COMMITTED.tobytes())
