"""A small asyncio service that answers questions and meters every answer.

    METER_AMQP_URL=amqp://user:password@127.0.0.1:5672/ python examples/python_service.py acme alice

The answers never wait for the metering: ``record`` only puts the event into a buffer. Prints the ids of the
events once the broker has confirmed them; exit code 1 when it did not.
"""
# ruff: noqa: INP001 - a program of its own, not a module of a package

from __future__ import annotations

import asyncio
import os
import sys
from decimal import Decimal

from meter.publisher import Publisher

QUESTIONS = ("What is a credit?", "Who pays?", "And if the broker is away?")


async def answer(publisher: Publisher, organization: str, user: str, question: str) -> str | None:
    """Answer one question and record what it used; the event's id, or None when metering refused it."""
    # Here the model would be asked; its provider tells how many tokens it read and wrote.
    input_tokens, output_tokens = len(question.split()), 120
    return publisher.record(
        organization,
        user,
        "llm",
        service_name="gpt-4o",
        api_cost=Decimal("0.000010") * output_tokens,
        metadata={"input_tokens": input_tokens, "output_tokens": output_tokens},
    )


async def main(organization: str, user: str) -> int:
    """Answer all questions at once, as a service would."""
    url = os.environ.get("METER_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/")
    async with Publisher(url, source="examples/python") as publisher:
        ids = await asyncio.gather(*(answer(publisher, organization, user, each) for each in QUESTIONS))
        left = await publisher.flush(timeout=30)
    if left or None in ids:
        print(f"{left} events are not confirmed; is the broker at METER_AMQP_URL?", file=sys.stderr)
        return 1
    print(*ids, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*(sys.argv[1:] or ["acme", "alice"]))))
