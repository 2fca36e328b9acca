"""Ports of the embedded servers."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from meter.local.machine import LOOPBACK, PortBook

if TYPE_CHECKING:
    from pathlib import Path


def test_a_port_is_kept_over_a_restart(tmp_path: Path) -> None:
    first = PortBook(tmp_path / "ports.json").assign(["amqp", "epmd"])
    assert PortBook(tmp_path / "ports.json").assign(["epmd", "amqp"]) == first


def test_ports_of_one_stack_differ(tmp_path: Path) -> None:
    assigned = PortBook(tmp_path / "ports.json").assign(f"port{number}" for number in range(50))
    assert len(set(assigned.values())) == 50


def test_a_port_taken_by_another_gives_way(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        assert book.assign(["api"], {"api": taken})["api"] != taken


def test_a_preferred_port_comes_before_the_remembered_one(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    book.assign(["api"])
    with socket.create_server((LOOPBACK, 0)) as other:
        preferred = other.getsockname()[1]
    assert book.assign(["api"], {"api": preferred}) == {"api": preferred}


def test_a_port_is_given_to_nobody_else_before_its_server_is_there(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    port = book.assign(["api"])["api"]
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind((LOOPBACK, port))
    with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)):
        assert server.getsockname() == (LOOPBACK, port)


def test_a_port_is_kept_while_its_server_restarts(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    port = book.assign(["api"])["api"]
    socket.create_server((LOOPBACK, port)).close()
    assert book.assign(["api"])["api"] == port
    with pytest.raises(OSError, match="in use"), socket.socket() as other:
        other.bind((LOOPBACK, port))


def test_a_port_is_free_for_others_once_nobody_refers_to_its_book(tmp_path: Path) -> None:
    book = PortBook(tmp_path / "ports.json")
    port = book.assign(["api"])["api"]
    del book
    with socket.socket() as other:
        other.bind((LOOPBACK, port))
        assert other.getsockname() == (LOOPBACK, port)


def test_a_damaged_book_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text("{")
    assert set(PortBook(file).assign(["api"])) == {"api"}
