"""The JSON Schemas of the usage event, of the void, and of a batch of them."""

from __future__ import annotations

from typing import Final

from pydantic.json_schema import GenerateJsonSchema

from meter.events import MESSAGE_MAX_BYTES, MESSAGE_MAX_EVENTS, UsageEvent, VoidEvent

EVENT_SCHEMA: Final = "usage-event.schema.json"
VOID_SCHEMA: Final = "usage-void.schema.json"
BATCH_SCHEMA: Final = "usage-batch.schema.json"
_DIALECT: Final = GenerateJsonSchema.schema_dialect

Json = dict[str, object]

#: The smallest event there is, and one that uses every field.
EXAMPLES: Final[tuple[Json, ...]] = (
    {
        "specversion": "1.0",
        "type": "meter.usage.v1",
        "id": "019c13f0-7a00-7c3a-8a5e-0123456789ab",
        "source": "chat",
        "subject": "acme",
        "time": "2026-01-31T12:00:00Z",
        "data": {
            "user_id": "u-17",
            "service_type": "llm",
            "metadata": {"input_tokens": 1200, "output_tokens": 340},
        },
    },
    {
        "specversion": "1.0",
        "type": "meter.usage.v1",
        "id": "order-4711",
        "source": "enrichment-service",
        "subject": "acme",
        "time": "2026-01-31T13:00:00.123456+01:00",
        "data": {
            "user_id": "u-17",
            "service_type": "company_enrichment",
            "service_name": "full",
            "quantity": "2",
            "credits": "200",
            "api_cost": "0.084",
            "key_source": "platform",
            "request_id": "req-8f14e45f",
            "metadata": {"provider": "companies.example", "latency_ms": 812.5},
        },
    },
)

#: What takes the second of them back.
VOID_EXAMPLES: Final[tuple[Json, ...]] = (
    {
        "specversion": "1.0",
        "type": "meter.usage.void.v1",
        "id": "019c13f7-1f40-7d11-9c5b-0123456789ab",
        "source": "support-desk",
        "subject": "acme",
        "time": "2026-01-31T15:00:00Z",
        "data": {
            "target_source": "enrichment-service",
            "target_id": "order-4711",
            "reason": "the company was looked up twice",
        },
    },
)


def event_schema() -> Json:
    """Describe one event.

    Returns:
        A JSON Schema (2020-12). What it cannot say (limits by value, by bytes and by depth) stands in words.
    """
    schema = _published(UsageEvent.model_json_schema())
    schema.pop("title")
    return {
        "$schema": _DIALECT,
        "title": "Usage event",
        **schema,
        "description": "One use of a service by a user of an organization: CloudEvents 1.0 in JSON, "
        "structured mode. Unknown fields are kept in the metadata, never rejected. An optional field that is "
        "null counts as absent. Amounts are read exactly from the number or string, never through a float.",
        "examples": list(EXAMPLES),
    }


def void_schema() -> Json:
    """Describe one void.

    Returns:
        A JSON Schema (2020-12).
    """
    schema = _published(VoidEvent.model_json_schema())
    schema.pop("title")
    return {
        "$schema": _DIALECT,
        "title": "Void of a usage event",
        **schema,
        "description": "Takes an earlier usage event of the same organization back, once, whatever became of "
        "it. It may come before its event. Unknown fields are kept in the metadata, never rejected.",
        "examples": list(VOID_EXAMPLES),
    }


def batch_schema() -> Json:
    """Describe a batch.

    Returns:
        A JSON Schema (2020-12) that refers to those of its events by their file names.
    """
    return {
        "$schema": _DIALECT,
        "title": "Batch of usage events",
        "description": f"At most {MESSAGE_MAX_BYTES:,} bytes; its events may be of several organizations.",
        "type": "array",
        "items": {"anyOf": [{"$ref": EVENT_SCHEMA}, {"$ref": VOID_SCHEMA}]},
        "minItems": 1,
        "maxItems": MESSAGE_MAX_EVENTS,
        "examples": [[*EXAMPLES, *VOID_EXAMPLES]],
    }


def _published(model: Json) -> Json:
    """Turn the model's schema into the contract's: unknown fields are welcome, titles only repeat names."""
    kept = {key: value for key, value in model.items() if key != "additionalProperties"}
    for part in ("properties", "$defs"):
        parts = kept.get(part)
        if isinstance(parts, dict):
            kept[part] = {name: _untitled(_published(inner)) for name, inner in parts.items()}
    return kept


def _untitled(schema: Json) -> Json:
    absent_by_default = "default" in schema and schema["default"] is None
    left_out = {"title"} | ({"default"} if absent_by_default else set())
    return {key: value for key, value in schema.items() if key not in left_out}
