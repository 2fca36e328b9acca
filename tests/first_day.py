"""A stranger's first day beside ``meter up``: the commands, and what the stack shows of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.running_stack import Finished, RunningStack, meter
from tests.running_worker import until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from prometheus_client import Metric

#: Whatever is published under these words may be in the ledger and nowhere else.
SPOKEN = "what-the-customer-said"
UNPUBLISHED = "what-nobody-can-read"

CSV = f"""\
org_id,user_id,service_type,service_name,credits,metadata.input_tokens,metadata.output_tokens,metadata.note
globex,hank,llm,gpt-4o,,1200,340,{SPOKEN}
globex,hank
globex,hank,llm,gpt-4o,-1,,,{UNPUBLISHED}
nobody,hank,llm,gpt-4o,1,,,{SPOKEN}
globex,ines,contact_lookup,,2.5,,,{SPOKEN}
globex,hank,house_of_our_own,,3,,,{SPOKEN}
"""
NDJSON = "\n".join(
    [
        json.dumps({"org_id": "globex", "user_id": "hank", "service_type": "valuation"}),
        "{ " + UNPUBLISHED,
        json.dumps(
            {
                "specversion": "1.0",
                "type": "meter.usage.v1",
                "id": "42",
                "source": "a-service",
                "subject": "globex",
                "time": "2026-01-02T03:04:05+02:00",
                "data": {"user_id": "hank", "service_type": "bulk_export", "quantity": "3"},
            }
        ),
        json.dumps({"org_id": "globex", "user_id": "hank", "service_type": "llm", "note": UNPUBLISHED}),
        json.dumps({"org_id": "globex", "user_id": "hank", "service_type": "unheard_of"}),
    ]
)


@dataclass(frozen=True, slots=True)
class Day:
    """The commands of a day and the stack they were typed beside."""

    stack: RunningStack
    beginning: list[Finished]
    published: Mapping[str, Finished]
    token: str
    entries: list[dict[str, Any]]


async def first_day(stack: RunningStack) -> Day:
    """Begin with an organization, publish two files and look at the history until it has all of them."""
    folder = stack.folder
    beginning = [
        await meter(folder, *command.split(), "--json")
        for command in (
            "organizations add globex --plan platform",
            "members add globex hank --role owner",
            "credits add globex 1000 --paid 1 --idempotency-key invoice-1",
            "allocations set globex hank 600 --reset monthly",
            "organizations list",
            "members list globex",
        )
    ]
    files = {"usage.csv": CSV, "usage.ndjson": NDJSON}
    for name, text in files.items():
        await asyncio.to_thread((folder / name).write_text, text)
    published = {name: await meter(folder, "publish", str(folder / name)) for name in files}
    token = (await meter(folder, "token", "hank")).out.strip()
    url = f"{await stack.api_url()}/api/v1/org-billing/credits/globex/events"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}) as client:

        async def entries() -> list[dict[str, Any]]:
            items: list[dict[str, Any]] = (await client.get(url)).raise_for_status().json()["items"]
            return items

        shown = await until(entries, lambda found: len(found) >= 6)
    return Day(stack, beginning, published, token, shown)


async def exposition(stack: RunningStack, part: str) -> list[Metric]:
    """What Prometheus would scrape of the ``api``, ``admin``, the ``worker`` or the ``broker``."""
    urls = dict(zip(("api", "admin", "worker", "broker"), await stack.metrics_urls(), strict=True))
    async with httpx.AsyncClient() as client:
        text = (await client.get(urls[part])).text
    return list(text_string_to_metric_families(text))


async def samples_of(stack: RunningStack, part: str) -> dict[tuple[str | tuple[str, str], ...], float]:
    """The samples of a part by name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in await exposition(stack, part)
        for sample in family.samples
    }


async def label_values(stack: RunningStack, part: str, label: str) -> set[str]:
    """All values that a label has in a part's samples."""
    return {
        sample.labels[label]
        for family in await exposition(stack, part)
        for sample in family.samples
        if label in sample.labels
    }


def logs_in(folder: Path) -> dict[str, str]:
    """The logs of a state folder by name."""
    return {path.name: path.read_text(errors="replace") for path in folder.rglob("*.log")}


def passwords_in(folder: Path) -> list[str]:
    """Everything in the state folder that opens a door."""
    book = json.loads((folder / "addresses.json").read_text())
    found = [
        (folder / "postgres" / "password").read_text(),
        *json.loads((folder / "rabbitmq" / "passwords.json").read_text()).values(),
        *(httpx.URL(address).password for address in book.values()),
        (folder / "rabbitmq" / "node" / ".erlang.cookie").read_text(),
    ]
    assert all(len(password) > 16 for password in found)
    return found
