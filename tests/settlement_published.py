"""What services publish while the state machine runs: drafts, once it is known which events came before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from tests.settlement_drafts import ORGANIZATIONS, Draft, Identity, Target, VoidDraft
from tests.settlement_events import Event, Void

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = [str(uuid5(UUID(int=7), str(number))) for number in range(5_000)]


class Published:
    """Makes events and voids of drafts, and remembers them for those that come later.

    Args:
        prefix: of the organizations, before what drafts call them.
        known: the keys in the books of an organization, in order.
    """

    def __init__(self, prefix: str, known: Callable[[str], list[str]]) -> None:
        self._prefix = prefix
        self._known = known
        self._events: list[Event] = []
        self._voids: list[Void] = []
        #: Organizations and keys that voids have named and no event has.
        self._promised: list[tuple[str, str]] = []
        self._keys = iter(KEYS)

    def batch(self, drafted: list[Draft]) -> tuple[Event, ...]:
        return tuple(self.event(draft) for draft in drafted)

    def voids(self, drafted: list[VoidDraft]) -> tuple[Void, ...]:
        return tuple(self.void(draft) for draft in drafted)

    def mixed(self, drafted: list[Draft | VoidDraft]) -> tuple[Event | Void, ...]:
        return tuple(
            self.void(draft) if isinstance(draft, VoidDraft) else self.event(draft) for draft in drafted
        )

    def event(self, draft: Draft) -> Event:
        if draft.identity is Identity.NEW or not self._events:
            new = Event(
                self._prefix + draft.org,
                self._new_key(draft),
                draft.user_id,
                draft.service,
                draft.credits,
                draft.given,
                refusal=draft.refusal,
            )
            self._events.append(new)
            return new
        earlier = self._events[-min(draft.back, len(self._events))]
        changes: dict[str, Any] = {}
        match draft.identity:
            case Identity.REPRICED if not (earlier.given or earlier.refusal):
                changes = {"credits": draft.credits}
            case Identity.OVERFLOWN if not (earlier.given or earlier.refusal):
                changes = {"credits": None, "refusal": "amount_overflow"}
            case Identity.EXTENDED:
                changes = {"extended": True}
            case Identity.CHANGED:
                same_user = draft.user_id == earlier.user_id
                changes = {"request_id": "changed"} if same_user else {"user_id": draft.user_id}
            case Identity.ELSEWHERE:
                changes = {"org_id": self._prefix + draft.org}
        return replace(earlier, **changes)

    def void(self, draft: VoidDraft) -> Void:
        org_id = self._prefix + draft.org
        earlier = self._voids[-min(draft.back, len(self._voids))] if self._voids else None
        if earlier and draft.identity is Identity.AGAIN:
            return earlier
        if earlier and draft.identity is Identity.CHANGED:
            return replace(earlier, reason="another")
        known = self._known(org_id) if draft.org in ORGANIZATIONS else []
        key = self._new_key(draft)
        if known and draft.identity is Identity.ELSEWHERE:
            key = known[-1]
        if draft.target is Target.OWN:
            target = key
        elif draft.target is Target.SAME and earlier:
            target = earlier.target
        elif draft.target is Target.KNOWN and known:
            target = known[-min(draft.back, len(known))]
        else:
            target = next(self._keys)
            self._promised.append((org_id, target))
        void = Void(org_id, key, target, refusal="future_time" if draft.future else None)
        self._voids.append(void)
        return void

    def _new_key(self, draft: Draft | VoidDraft) -> str:
        """A key of its own, or one that a void has named before."""
        promised = [key for org_id, key in self._promised if org_id == self._prefix + draft.org]
        # Most voids leave it to an event.
        if not promised or draft.back == 1 or (isinstance(draft, VoidDraft) and draft.back < 7):
            return next(self._keys)
        self._promised.remove((self._prefix + draft.org, promised[0]))
        return promised[0]
