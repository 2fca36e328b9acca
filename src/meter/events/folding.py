"""Unknown fields are kept in the metadata, never rejected."""

from __future__ import annotations

from meter.events.model import UsageData, UsageEvent
from meter.events.void import VoidData

_EVENT_FIELDS = frozenset(UsageEvent.model_fields) - {"folded"}
_DATA_FIELDS = frozenset(UsageData.model_fields)
_VOID_FIELDS = frozenset(VoidData.model_fields) - {"metadata"}


def fold_unknown_fields(event: dict[str, object]) -> dict[str, object]:
    """Move unknown fields of the event and of its data into the metadata.

    A field keeps its name where the metadata has none such, else it is called ``data.<name>`` or
    ``event.<name>`` (the prefix repeated while that is taken, too). Fields of the data come first.

    Args:
        event: the parsed JSON object of an event; not changed.

    Returns:
        The event with known fields only, ready to be validated; ``folded`` names the moved keys.
    """
    data = event.get("data")
    if not isinstance(data, dict):
        return {name: value for name, value in event.items() if name in _EVENT_FIELDS}
    if event.keys() <= _EVENT_FIELDS and data.keys() <= _DATA_FIELDS:
        return event
    known = {name: value for name, value in event.items() if name in _EVENT_FIELDS}
    known_data = {name: value for name, value in data.items() if name in _DATA_FIELDS}
    known["data"] = known_data
    metadata = data.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        return known
    merged = dict(metadata or {})
    known["folded"] = _move_unknown(event, data, _DATA_FIELDS, merged)
    known_data["metadata"] = merged
    return known


def fold_unknown_void_fields(event: dict[str, object]) -> dict[str, object]:
    """Move all fields of a void's data, and unknown fields of the event, into its metadata.

    Args:
        event: the parsed JSON object of a void; not changed.

    Returns:
        The event with known fields only, ready to be validated; ``folded`` names the unknown ones in the
        metadata, which are called as `fold_unknown_fields` calls them.
    """
    known = {name: value for name, value in event.items() if name in _EVENT_FIELDS}
    data = event.get("data")
    if isinstance(data, dict):
        known_data = {name: value for name, value in data.items() if name in _VOID_FIELDS}
        merged = dict(known_data)
        known["folded"] = _move_unknown(event, data, _VOID_FIELDS, merged)
        known["data"] = known_data | {"metadata": merged}
    return known


def _move_unknown(
    event: dict[str, object], data: dict[str, object], known: frozenset[str], merged: dict[str, object]
) -> tuple[str, ...]:
    folded: list[str] = []
    for prefix, fields, names in (("data.", data, known), ("event.", event, _EVENT_FIELDS)):
        for name, value in fields.items():
            if name in names:
                continue
            key = name
            while key in merged:
                key = prefix + key
            merged[key] = value
            folded.append(key)
    return tuple(folded)
