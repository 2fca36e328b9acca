"""The trace: 8,819 real LLM requests, and the rule that says whose they are."""

from __future__ import annotations

import csv
import hashlib
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ORGANIZATIONS = tuple(f"demo-{number:02d}" for number in range(1, 41))
USERS = tuple(f"user-{number:02d}" for number in range(1, 11))

#: Who made a request is not in the trace: organizations are drawn by a Zipf law, so that a few make most of
#: the requests as in real life, users evenly, both with this seed.
_SEED = 2023
_ZIPF_EXPONENT = 1.1

_TRACE = files("meter.local.demo") / "azure_llm_inference_2023_code.csv"


@dataclass(frozen=True, slots=True)
class Request:
    """One request of the trace.

    Attributes:
        row: its number in the file, from 1.
        org_id: the organization it was assigned to.
        user_id: the user it was assigned to.
        time: when it arrived; the trace gives no offset and is read as UTC.
        tokens: ``input_tokens`` of its context and ``output_tokens`` generated.
    """

    row: int
    org_id: str
    user_id: str
    time: datetime
    tokens: dict[str, int]


def trace_source() -> str:
    """The source of the trace's events: the digest of the file, as for any file that is published."""
    return f"file:sha256:{hashlib.sha256(_TRACE.read_bytes()).hexdigest()}"


def requests() -> Iterator[Request]:
    """Read the trace.

    Yields:
        The requests in the order of the file; always the same.
    """
    draw = random.Random(_SEED)  # noqa: S311 - a rule that can be repeated, not a secret
    weights = list(accumulate(rank**-_ZIPF_EXPONENT for rank in range(1, len(ORGANIZATIONS) + 1)))
    rows = csv.reader(_TRACE.read_text("ascii").splitlines())
    next(rows)
    for number, (arrived, context, generated) in enumerate(rows, start=1):
        yield Request(
            row=number,
            org_id=draw.choices(ORGANIZATIONS, cum_weights=weights)[0],
            user_id=draw.choice(USERS),
            # The seventh digit is beyond what a time can hold here and in the database.
            time=datetime.fromisoformat(arrived[:26]).replace(tzinfo=UTC),
            tokens={"input_tokens": int(context), "output_tokens": int(generated)},
        )
