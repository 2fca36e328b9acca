"""Shows what the stack is doing: bars in a terminal, lines where the output goes to a file."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from meter.local.apt import Report


class Display:
    """Tells a person what goes on, one row per thing that is being done."""

    def __init__(self, console: Console) -> None:
        """Write to a console.

        Args:
            console: where to.
        """
        self.console = console
        self._bars: Progress | None = None

    @contextmanager
    def phases(self) -> Iterator[None]:
        """Show bars while the block runs, where the console is a terminal."""
        if not self.console.is_terminal:
            yield
            return
        columns = (
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as bars:
            self._bars = bars
            try:
                yield
            finally:
                self._bars = None

    @contextmanager
    def phase(self, name: str, done: str) -> Iterator[Report]:
        """Show one phase.

        Args:
            name: what is being done.
            done: what to say when it is done.

        Yields:
            Tell it what goes on within the phase, and which part of it is done (0 to 1) where known.
        """
        if self._bars is None:
            yield self._lines(name)
            self.say(done)
            return
        bars = self._bars
        row = bars.add_task(name, total=None)

        def report(text: str, part: float | None) -> None:
            bars.update(
                row, description=f"{name}: {text}", total=None if part is None else 1.0, completed=part or 0
            )

        yield report
        bars.update(row, description=done, total=1.0, completed=1.0)

    def say(self, sentence: str) -> None:
        """Print one line."""
        self.console.print(sentence, highlight=False, soft_wrap=True, markup=False)

    def _lines(self, name: str) -> Report:
        told: set[str] = set()

        def report(text: str, _part: float | None) -> None:
            if text not in told:
                told.add(text)
                self.say(f"{name}: {text}")

        return report
