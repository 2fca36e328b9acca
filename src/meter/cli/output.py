"""What a command prints: for people, or as JSON where a program may read it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")


def example(text: str) -> Callable[[click.Command], click.Command]:
    """End the help of a command with an example.

    Args:
        text: the command lines, as one would type them.
    """

    def add(command: click.Command) -> click.Command:
        command.epilog = "Example: " + text
        return command

    return add


def print_json(value: object) -> None:
    """Print a value as JSON, decimals as strings."""
    click.echo(msgspec.json.format(msgspec.json.encode(_plain(value)), indent=2))


def print_rows(rows: Sequence[Any], as_json: bool) -> None:
    """Print dataclasses, as a table or as a JSON list.

    Args:
        rows: instances of one dataclass.
        as_json: print JSON.
    """
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo("none")
        return
    names = [field.name for field in dataclasses.fields(rows[0])]
    table = Table(*(name.replace("_", " ") for name in names), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*("" if (cell := getattr(row, name)) is None else str(cell) for name in names))
    Console().print(table)


def print_result(result: object, sentence: str, as_json: bool) -> None:
    """Print what a command did.

    Args:
        result: a dataclass or a dictionary with the facts.
        sentence: the same for people.
        as_json: print the facts.
    """
    if as_json:
        print_json(result)
    else:
        click.echo(sentence)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
