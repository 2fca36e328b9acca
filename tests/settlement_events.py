"""What the model of settlement settles: usage and voids. Credits are whole millionths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it reaches settlement: rated, without a price, or never to be settled for a reason."""

    org_id: str
    key: str
    user_id: str
    service: str
    credits: int | None
    given: bool = False
    source: str = "model"
    request_id: str | None = None
    refusal: str | None = None
    #: Carries a field that the contract does not know.
    extended: bool = False

    @property
    def content(self) -> tuple[object, ...]:
        """What decides a conflict: what was published, not what rating made of it."""
        given = self.credits if self.given else None
        return (self.user_id, self.service, given, self.source, self.request_id)


@dataclass(frozen=True, slots=True)
class Void:
    """What takes an event back."""

    org_id: str
    key: str
    target: str
    source: str = "model"
    reason: str = "a mistake"
    refusal: str | None = None

    @property
    def content(self) -> tuple[object, ...]:
        """What decides a conflict."""
        return ("void", self.target, self.source, self.reason)
