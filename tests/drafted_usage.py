"""Usage as the worker holds it, from the fields that a test is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from meter.events import Usage, UsageEvent, new_event_id, usage_of


def drafted_usage(
    org_id: str = "acme", user_id: str = "alice", service_type: str = "llm", **fields: Any
) -> Usage:
    envelope = {
        "specversion": "1.0",
        "type": "meter.usage.v1",
        "id": fields.pop("id", None) or new_event_id(),
        "source": fields.pop("source", "tests"),
        "subject": org_id,
        "time": fields.pop("time", None) or datetime.now(UTC).isoformat(),
    }
    return usage_of(
        UsageEvent.model_validate(
            envelope | {"data": {"user_id": user_id, "service_type": service_type} | fields}
        )
    )
