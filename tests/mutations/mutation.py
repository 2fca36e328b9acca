"""One mutation: a small change of the SQL or the Python of settlement."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutation:
    """A textual change.

    Attributes:
        name: what goes wrong with it.
        file: in ``meter.db``.
        before: what is replaced; must be there exactly once.
        after: what it becomes.
    """

    name: str
    file: str
    before: str
    after: str = ""


def in_function(name: str, file: str, before: str, after: str = "") -> Mutation:
    """Change a function of the database; ``file`` is its name."""
    return Mutation(name, f"sql/functions/{file}.sql", before, after)
