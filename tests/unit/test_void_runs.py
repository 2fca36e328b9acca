"""A batch is split where voids begin and end, and nowhere else."""

from __future__ import annotations

import json

import pytest

from meter.db.voids import runs_of_one_kind
from meter.events import CONTENT_TYPE_EVENT, Event, decode_message

_DATA: dict[str, dict[str, object]] = {
    "meter.usage.v1": {"user_id": "alice", "service_type": "llm"},
    "meter.usage.void.v1": {"target_source": "tests", "target_id": "e", "reason": "a mistake"},
}


def event(kind: str, number: int) -> Event:
    envelope = {"specversion": "1.0", "id": str(number), "source": "tests", "subject": "acme"}
    message = envelope | {"type": kind, "time": "2026-01-31T12:00:00Z", "data": _DATA[kind]}
    (read,) = decode_message(json.dumps(message).encode(), CONTENT_TYPE_EVENT).events
    return read


@pytest.mark.parametrize(
    ("kinds", "runs"),
    [
        ("uuu", ["uuu"]),
        ("v", ["v"]),
        ("uvu", ["u", "v", "u"]),
        ("vvuuv", ["vv", "uu", "v"]),
    ],
)
def test_runs_are_in_order_and_of_one_kind(kinds: str, runs: list[str]) -> None:
    names = {"u": "meter.usage.v1", "v": "meter.usage.void.v1"}
    batch = [event(names[kind], number) for number, kind in enumerate(kinds)]

    found = list(runs_of_one_kind(batch))

    assert ["u" * len(usage) + "v" * len(voids) for usage, voids in found] == runs
    assert [each for usage, voids in found for each in (*usage, *voids)] == batch
