"""Waits between attempts, and how often a complaint is logged."""

from __future__ import annotations

from meter.backoff import Backoff
from meter.publisher.throttle import Throttle


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(first=1.0, longest=8.0)
    waits = [backoff.next_seconds() for _ in range(6)]
    for wait, ceiling in zip(waits, [1, 2, 4, 8, 8, 8], strict=True):
        assert ceiling / 2 <= wait <= ceiling


def test_waits_never_grow_without_bound() -> None:
    backoff = Backoff(first=0.1, longest=5.0)
    assert max(backoff.next_seconds() for _ in range(2_000)) <= 5.0


def test_a_success_begins_anew() -> None:
    backoff = Backoff(first=1.0, longest=64.0)
    for _ in range(6):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() <= 1.0


def test_two_services_do_not_wait_alike() -> None:
    assert Backoff().next_seconds() != Backoff().next_seconds()


def test_a_complaint_passes_once_in_a_while() -> None:
    seldom = Throttle(every_seconds=3_600)
    assert [seldom.lets_pass() for _ in range(3)] == [True, False, False]
    always = Throttle(every_seconds=0)
    assert [always.lets_pass() for _ in range(3)] == [True, True, True]
