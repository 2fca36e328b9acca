"""The public contract as documents for services in any language, generated from the model."""

from meter.contract.documents import documents, main
from meter.contract.schemas import EXAMPLES, VOID_EXAMPLES, batch_schema, event_schema, void_schema

__all__ = [
    "EXAMPLES",
    "VOID_EXAMPLES",
    "batch_schema",
    "documents",
    "event_schema",
    "main",
    "void_schema",
]
