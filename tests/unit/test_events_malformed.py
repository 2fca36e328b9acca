"""Every kind of malformed message is refused with its reason, and takes no neighbour along."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.malformed import MALFORMED, UNDECODABLE, Malformed, body

from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, RefusalReason, decode_message

#: Kinds that are one array element's own fault: JSON that is read, in a batch as well as alone.
CULPRITS = [
    kind
    for kind in UNDECODABLE
    if kind.content_type == CONTENT_TYPE_EVENT
    and kind.reason not in (RefusalReason.UNREADABLE, RefusalReason.MESSAGE_TOO_LARGE)
]


@pytest.mark.parametrize("kind", UNDECODABLE, ids=str)
def test_a_malformed_message_is_refused_with_its_reason_and_its_exact_bytes(kind: Malformed) -> None:
    message = kind.build("acme", 17)

    decoded = decode_message(message, kind.content_type)

    assert not decoded.events
    [refusal] = decoded.refusals
    assert (refusal.reason, refusal.original, refusal.whole_message) == (kind.reason, message, True)
    assert 10 < len(refusal.sentence) < 150
    assert refusal.sentence.isascii()


@pytest.mark.parametrize("kind", CULPRITS, ids=str)
def test_a_culprit_in_a_batch_is_refused_alone_with_its_exact_bytes(kind: Malformed) -> None:
    culprit, before, after = kind.build("acme", 1), body("acme", 2), body("acme", 3)

    decoded = decode_message(b"[" + before + b" ,\n" + culprit + b"\t, " + after + b"]", CONTENT_TYPE_BATCH)

    assert [decoded.original(index) for index in range(len(decoded.events))] == [before, after]
    [refusal] = decoded.refusals
    assert (refusal.reason, refusal.original, refusal.whole_message) == (kind.reason, culprit, False)


@pytest.mark.parametrize("kind", [kind for kind in MALFORMED if kind.by_settlement], ids=str)
def test_what_only_settlement_can_refuse_decodes(kind: Malformed) -> None:
    decoded = decode_message(kind.build("acme", 1), kind.content_type)

    assert (len(decoded.events), decoded.refusals) == (1, ())


def test_a_batch_of_nothing_but_different_culprits_has_a_refusal_for_each() -> None:
    culprits = [kind.build("acme", number) for number, kind in enumerate(CULPRITS)]

    decoded = decode_message(b"[" + b",".join(culprits) + b"]", CONTENT_TYPE_BATCH)

    assert [refusal.original for refusal in decoded.refusals] == culprits
    assert [refusal.reason for refusal in decoded.refusals] == [kind.reason for kind in CULPRITS]


@pytest.mark.parametrize(
    "literal", ["1e999999", "1e-999999", "1e" + "9" * 18, "0e999999", "1." + "0" * 100_000]
)
def test_an_absurd_number_is_judged_without_being_spelled_out(literal: str) -> None:
    message = body("acme", 1, data={"quantity": "@"}).replace(b'"@"', literal.encode())
    began = time.perf_counter()

    decode_message(message, CONTENT_TYPE_EVENT)

    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    "message",
    [
        b'["' + b'\\"' * 500_000,
        b"[" * 1_000_000,
        b'["\\ud800",' + b"1," * 500_000 + b"1]",
        b"[" + b"[]," * 300_000 + b'"\\ud800"]',
        b'{"data":' * 100_000,
    ],
    ids=["a string without end", "only brackets", "many elements", "many arrays", "objects without end"],
)
@pytest.mark.parametrize("content_type", [CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH])
def test_a_hostile_message_is_refused_in_linear_time(message: bytes, content_type: str) -> None:
    began = time.process_time()

    decoded = decode_message(message, content_type)

    assert [refusal.whole_message for refusal in decoded.refusals] == [True]
    assert time.process_time() - began < 5


@given(st.binary(max_size=200), st.sampled_from([CONTENT_TYPE_EVENT, CONTENT_TYPE_BATCH, None]))
def test_no_bytes_make_decoding_raise(message: bytes, content_type: str | None) -> None:
    decoded = decode_message(message, content_type)

    assert not decoded.events
    assert decoded.refusals


@given(st.data())
def test_no_damage_to_a_batch_makes_decoding_raise_or_lose_a_byte(data: st.DataObject) -> None:
    intact = b"[" + b",".join(body("acme", number, extension="é\\") for number in range(3)) + b"]"
    at = data.draw(st.integers(0, len(intact) - 1))
    cut = data.draw(st.integers(0, 3))
    message = intact[:at] + data.draw(st.binary(max_size=3)) + intact[at + cut :]

    decoded = decode_message(message, CONTENT_TYPE_BATCH)

    for refusal in decoded.refusals:
        assert refusal.original == message if refusal.whole_message else refusal.original in message
    for index in range(len(decoded.events)):
        assert decoded.original(index) in message


@pytest.mark.parametrize(
    "rest",
    [b"01]", b'{"a" 1}]', b"]}", b"1] 2", b"1", b",1]", b"[" * 10_000 + b"}" * 10_000 + b"]"],
    ids=["a number", "an object", "a bracket", "more behind it", "no end", "no element", "deep brackets"],
)
def test_a_lone_surrogate_does_not_make_broken_json_a_batch(rest: bytes) -> None:
    message = b'["\\ud800",' + rest

    [refusal] = decode_message(message, CONTENT_TYPE_BATCH).refusals

    assert (refusal.reason, refusal.whole_message) == (RefusalReason.UNREADABLE, True)


def test_a_refusal_names_organization_and_id_only_where_they_keep_to_the_contract() -> None:
    [named] = decode_message(body("acme", 5, time="never"), CONTENT_TYPE_EVENT).refusals
    [hostile] = decode_message(body("acme\r\nx: y", 5, id="e" * 10_000), CONTENT_TYPE_EVENT).refusals

    assert (named.org_id, named.event_id) == ("acme", "event-5")
    assert (hostile.org_id, hostile.event_id) == (None, None)


def test_no_sentence_repeats_what_was_sent() -> None:
    secret = "s3cret" * 100
    message = body("acme", 1, data={"user_id": secret, "metadata": [secret], "key_source": secret})

    [refusal] = decode_message(message, CONTENT_TYPE_EVENT).refusals

    assert "s3cret" not in refusal.sentence
