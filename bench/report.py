"""The measured table: on the terminal, as JSON and as a page."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from bench.figures import Figure

_COLUMNS = ("line", "what", "against", "must", "median", "spread", "holds")


def table(figures: Sequence[Figure]) -> Table:
    """Lay the figures out for a terminal."""
    shown = Table(*_COLUMNS)
    for figure in figures:
        shown.add_row(*_cells(figure), style=None if figure.holds else "red")
    return shown


def write_json(figures: Sequence[Figure], file: Path) -> None:
    """Write what must hold for programs: a list of line, value, unit, must, holds, spread, against."""
    written = [
        {
            "line": figure.target.line,
            "value": _rounded(figure.value),
            "unit": figure.target.unit,
            "must": figure.target.must,
            "holds": figure.holds,
            "spread": [_rounded(end) for end in figure.spread],
            "against": figure.target.against,
        }
        for figure in figures
        if figure.target.bound is not None
    ]
    file.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")


def markdown(figures: Sequence[Figure], machine: Mapping[str, str]) -> str:
    """Write the machine, the figures and the rates behind them, as Markdown tables."""
    lines = [
        *markdown_table(("", ""), machine.items()),
        "",
        "Median of the rounds, spread least–most.",
        "",
        *markdown_table(
            (*_COLUMNS, "rounds"), ((*_cells(figure), str(len(figure.samples))) for figure in figures)
        ),
        "",
        "Behind the ratios, by round: events or requests a second, of latencies seconds:",
        "",
        *markdown_table(("line", "what", "by round"), _rates(figures)),
    ]
    return "\n".join(lines) + "\n"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table as lines of Markdown."""
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _cells(figure: Figure) -> tuple[str, ...]:
    target = figure.target
    low, high = figure.spread
    unit = "" if target.unit == "ratio" else f" {target.unit}"
    return (
        target.line,
        target.title,
        target.against,
        f"{target.must}{unit if target.must else ''}",
        f"{_shown(figure.value)}{unit}",
        f"{_shown(low)}–{_shown(high)}",
        "" if target.bound is None else "yes" if figure.holds else "no",
    )


def _rates(figures: Sequence[Figure]) -> list[tuple[str, ...]]:
    return [
        (figure.target.line, name, " · ".join(map(_shown, rates)))
        for figure in figures
        for name, rates in figure.parts.items()
    ]


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1_000 else f"{number:.3g}"


def _rounded(number: float) -> float | None:
    if math.isnan(number):
        return None
    return round(number) if number >= 1_000 else float(f"{number:.3g}")
