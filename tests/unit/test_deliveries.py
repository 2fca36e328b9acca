from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from tests.malformed import body

from meter.consumers.batch import decoded_message
from meter.consumers.dead_letters import dead_letters_of
from meter.consumers.deliveries import Delivery
from meter.db.outcomes import Outcome, SettledEvent
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("attempts", "published_us", "first_seen"),
    [(1, 50_000_000, 100), (1, None, 100), (2, 50_000_000, 50), (2, None, 100), (2, 1 << 62, 100)],
)
def test_a_delivery_was_first_seen_when_it_came_or_for_a_repeated_one_when_published(
    attempts: int, published_us: int | None, first_seen: int
) -> None:
    delivery = Delivery(1, b"", None, attempts, published_us, received_at=100.0)
    assert delivery.first_seen == datetime.fromtimestamp(first_seen, UTC)


def _letters(content: bytes, content_type: str, outcomes: Sequence[SettledEvent]) -> list[tuple[str, bytes]]:
    message = decoded_message(Delivery(1, content, content_type))
    remaining = iter([*outcomes, _settled(Outcome.CHARGED)])
    letters = dead_letters_of(message, remaining)
    assert len(list(remaining)) == 1, "it takes the outcomes of its own events and no more"
    return [(letter.reason, letter.body) for letter in letters]


def _settled(outcome: Outcome, reason: str | None = None) -> SettledEvent:
    return SettledEvent(outcome, reason, 0)


@pytest.mark.parametrize(
    "outcome",
    [Outcome.CHARGED, Outcome.OVERAGE, Outcome.UNFUNDED, Outcome.UNPRICED, Outcome.DUPLICATE],
)
def test_what_is_in_the_ledger_is_no_dead_letter(outcome: Outcome) -> None:
    assert _letters(body("acme", 1), CONTENT_TYPE_EVENT, [_settled(outcome)]) == []


def test_of_a_batch_only_the_culprits_are_dead_letters() -> None:
    good, conflicting, broken, unknown = (
        body("acme", 1),
        body("acme", 2) + b" ",
        body("acme", 3, data=None),
        body("acme", 4),
    )
    batch = b"[" + b",".join([good, conflicting, broken, unknown]) + b"]"
    outcomes = [
        _settled(Outcome.CHARGED),
        _settled(Outcome.CONFLICT),
        _settled(Outcome.REFUSED, "unknown_organization"),
    ]
    assert _letters(batch, CONTENT_TYPE_BATCH, outcomes) == [
        ("invalid_event", broken),
        ("conflict", conflicting.strip()),
        ("unknown_organization", unknown),
    ]


def test_an_error_of_ours_while_decoding_costs_a_dead_letter_and_not_the_worker() -> None:
    # Bytes of a type that decoding was not made for stand for an error nobody knows yet.
    unforeseen = memoryview(b"not json")
    message = decoded_message(Delivery(1, unforeseen, CONTENT_TYPE_EVENT))  # type: ignore[arg-type]
    (letter,) = dead_letters_of(message, iter(()))
    assert (letter.reason, letter.body, letter.whole_message) == ("not_decodable", unforeseen, True)
    assert letter.content_type == CONTENT_TYPE_EVENT
    assert "AttributeError" in letter.sentence


def test_a_reason_this_version_does_not_know_is_passed_on() -> None:
    outcomes = [_settled(Outcome.REFUSED, "of_a_later_version")]
    assert _letters(body("acme", 1), CONTENT_TYPE_EVENT, outcomes) == [
        ("of_a_later_version", body("acme", 1))
    ]
