"""Whose turn it is among the nodes of a broker."""

from __future__ import annotations

import pytest

from meter.errors import ConfigurationError
from meter.nodes import Nodes, split_urls

THREE = "amqp://u:hush@one:5672/v,amqp://u:hush@two:5672/v, amqps://u:hush@three/v"


@pytest.mark.parametrize(
    ("urls", "alone"),
    [
        ("amqp://u:p@one", ["amqp://u:p@one"]),
        ("amqp://u:p@one/v,amqps://u:p@two/v", ["amqp://u:p@one/v", "amqps://u:p@two/v"]),
        (" amqp://u:p@one ,\n amqp://u:p@two\n", ["amqp://u:p@one", "amqp://u:p@two"]),
        ("amqp://u:p,q@one,amqp://u:p@two", ["amqp://u:p,q@one", "amqp://u:p@two"]),
        ("amqp://u:p@[::1]:5672/v", ["amqp://u:p@[::1]:5672/v"]),
    ],
)
def test_addresses_of_several_nodes_are_taken_apart(urls: str, alone: list[str]) -> None:
    assert list(split_urls(urls)) == alone


@pytest.mark.parametrize(
    "urls",
    [
        "",
        "amqp://",
        "http://u:hush@one",
        "amqp://u:hush@one,two:hush",
        "amqp://u:hush@one,amqp://",
        "amqp://u:hush@h:x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_and_not_repeated(urls: str) -> None:
    with pytest.raises(ConfigurationError, match="must look like amqp://") as refused:
        split_urls(urls)
    assert "hush" not in str(refused.value)


def test_every_node_is_tried_before_it_is_time_to_wait() -> None:
    nodes = Nodes(THREE)
    places = []
    for _ in range(3):
        places.append(nodes.next().place)
        nodes.failed()
        waits = nodes.all_failed
        assert waits is (len(places) == 3)
    assert sorted(places) == ["amqp://one:5672/v", "amqp://two:5672/v", "amqps://three/v"]
    assert nodes.next().place == places[0]


def test_a_node_is_given_more_time_once_all_have_failed_and_less_again_after_one_was_reached() -> None:
    nodes = Nodes(THREE)
    quick = nodes.next().connect_seconds
    assert quick <= 3
    for _ in range(3):
        nodes.failed()
    assert nodes.next().connect_seconds > quick
    nodes.reached()
    nodes.failed()
    assert nodes.next().connect_seconds == quick


def test_a_single_node_is_given_all_the_time_and_waited_for_after_each_failure() -> None:
    nodes = Nodes("amqp://u:p@one")
    assert nodes.next().connect_seconds > 3
    nodes.failed()
    assert nodes.all_failed


def test_everyone_begins_with_another_node() -> None:
    assert {Nodes(THREE).next().place for _ in range(200)} == {
        "amqp://one:5672/v",
        "amqp://two:5672/v",
        "amqps://three/v",
    }


def test_addresses_are_asked_for_anew_each_time() -> None:
    told = ["amqp://u:old@one"]
    nodes = Nodes(lambda: told[0])
    assert nodes.next().url == "amqp://u:old@one"
    told[0] = "amqp://u:new@one"
    assert nodes.next().url == "amqp://u:new@one"


def test_no_password_is_shown() -> None:
    nodes = Nodes(THREE)
    assert "hush" not in nodes.place
    assert "hush" not in repr(nodes.next())
