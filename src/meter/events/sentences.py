"""What is wrong with an event, in one sentence that names the field and never repeats what was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meter.events.model import KeySource
from meter.events.reasons import RefusalReason

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_REASONS = frozenset(RefusalReason)
_ORG_ID_RULE = "must begin with a letter or digit and go on with letters, digits, '.', '_', ':' or '-'"
#: What a field must be, by pydantic's name of the fault.
_RULES = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_unicode": "must not contain a lone surrogate",
    "string_too_short": "must have at least {min_length} character",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be {expected}",
    "enum": f"must be {' or '.join(KeySource)}",
    "model_type": "must be an object",
}


def explain(error: ValidationError) -> tuple[RefusalReason, str]:
    """Turn pydantic's findings into the reason and the sentence of a refusal.

    Args:
        error: of validating an event; its first finding counts.

    Returns:
        The stable code, and for instance ``data.quantity must not be negative``.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    reason = RefusalReason(first["type"]) if first["type"] in _REASONS else RefusalReason.INVALID_EVENT
    if first["type"] == "extra_forbidden":
        return reason, "the event has a field that the contract does not know"
    field = ".".join(map(str, first["loc"])) or "the event"
    return reason, f"{field} {_fault(first)}"


def _fault(finding: ErrorDetails) -> str:
    if finding["type"] == "string_pattern_mismatch":
        return _ORG_ID_RULE if finding["loc"][-1] == "subject" else "must not contain a NUL character"
    rule = _RULES.get(finding["type"])
    return str(finding["msg"]) if rule is None else rule.format_map(finding.get("ctx", {}))
