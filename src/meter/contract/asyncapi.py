"""The AsyncAPI document: how usage travels through the broker."""

from __future__ import annotations

from typing import Final

from meter.consumers.deliveries import PUBLISHED_AT_HEADER
from meter.consumers.topology import DEAD_QUEUE, USAGE_EXCHANGE
from meter.contract.schemas import BATCH_SCHEMA, EVENT_SCHEMA, VOID_SCHEMA, Json
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, RefusalReason

ASYNCAPI: Final = "asyncapi.json"
#: Of the contract, not of the package: 1 as long as every event of version 1 is read.
CONTRACT_VERSION: Final = "1.0.0"
#: Of AsyncAPI's description of AMQP 0-9-1.
_BINDING_VERSION: Final = "0.3.0"


def asyncapi() -> Json:
    """Describe the way of usage through the broker.

    Returns:
        An AsyncAPI 3.0 document, from the worker's side: it receives usage and sends dead letters.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "meter: usage events",
            "version": CONTRACT_VERSION,
            "description": "How a service in any language publishes usage. Publishers never declare "
            "exchanges, queues or bindings: the worker does. Publish with confirms, and publish again what "
            "was not confirmed: the same identity is charged once.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "channels": {"usage": _usage_channel(), "deadLetters": _dead_letter_channel()},
        "operations": {
            "receiveUsage": {
                "action": "receive",
                "summary": "Settle usage against the organization's credits, exactly once.",
                "channel": {"$ref": "#/channels/usage"},
                "bindings": {"amqp": {"deliveryMode": 2, "ack": True, "bindingVersion": _BINDING_VERSION}},
            },
            "sendDeadLetter": {
                "action": "send",
                "summary": "Set aside what no retry can settle, byte for byte, with the reason.",
                "channel": {"$ref": "#/channels/deadLetters"},
                "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": _BINDING_VERSION}},
            },
        },
        "components": {
            "messages": {
                "usageEvent": _message("One usage event", CONTENT_TYPE_EVENT, EVENT_SCHEMA),
                "usageVoid": _message("What takes a usage event back", CONTENT_TYPE_EVENT, VOID_SCHEMA),
                "usageBatch": _message("1 to 1,000 usage events and voids", CONTENT_TYPE_BATCH, BATCH_SCHEMA),
                "deadLetter": {
                    "title": "What could not be settled",
                    "description": "The body and the content type as they were published; of a batch, the "
                    "exact bytes of the one element, as a single event.",
                    "headers": _dead_letter_headers(),
                },
            }
        },
    }


def _message(title: str, content_type: str, schema: str) -> Json:
    return {
        "title": title,
        "contentType": content_type,
        "headers": {
            "type": "object",
            "properties": {
                PUBLISHED_AT_HEADER: {
                    "type": "integer",
                    "description": "Optional. Microseconds since 1970-01-01 UTC; how long settling takes is "
                    "measured from it.",
                }
            },
        },
        "payload": {"schemaFormat": "application/schema+json;version=2020-12", "schema": {"$ref": schema}},
    }


def _usage_channel() -> Json:
    return {
        "address": "{organization}",
        "title": "Usage",
        "description": f"The topic exchange {USAGE_EXCHANGE}. The routing key is the organization id: the "
        "subject of the event, of a batch that of its first event.",
        "parameters": {"organization": {"description": "The organization that is charged."}},
        "messages": {
            "usageEvent": {"$ref": "#/components/messages/usageEvent"},
            "usageVoid": {"$ref": "#/components/messages/usageVoid"},
            "usageBatch": {"$ref": "#/components/messages/usageBatch"},
        },
        "bindings": {
            "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": USAGE_EXCHANGE,
                    "type": "topic",
                    "durable": True,
                    "autoDelete": False,
                    "vhost": "/",
                },
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _dead_letter_channel() -> Json:
    return {
        "address": DEAD_QUEUE,
        "title": "Dead letters",
        "messages": {"deadLetter": {"$ref": "#/components/messages/deadLetter"}},
        "bindings": {
            "amqp": {
                "is": "queue",
                "queue": {
                    "name": DEAD_QUEUE,
                    "durable": True,
                    "exclusive": False,
                    "autoDelete": False,
                    "vhost": "/",
                },
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _dead_letter_headers() -> Json:
    return {
        "type": "object",
        "properties": {
            "meter-reason": {
                "type": "string",
                "enum": [reason.value for reason in RefusalReason],
                "description": "Why: a code that never changes. Later versions may add codes.",
            },
            "meter-sentence": {"type": "string", "description": "Which field is wrong and why, for people."},
            "meter-first-seen": {"type": "string", "format": "date-time"},
            "meter-attempts": {"type": "integer", "minimum": 1},
            "meter-origin-queue": {"type": "string"},
            "meter-part": {
                "type": "string",
                "enum": ["message", "element"],
                "description": "Whether the body is the message as it came or one element of its array.",
            },
            "meter-original-content-type": {
                "type": "string",
                "description": "The content type of the message as it came, where it had one.",
            },
            "meter-org-id": {"type": "string", "description": "Where it could be read."},
            "meter-event-id": {"type": "string", "description": "Where it could be read."},
        },
        "required": ["meter-reason", "meter-sentence", "meter-first-seen", "meter-attempts"],
    }
