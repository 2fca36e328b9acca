"""HEAD, over real connections: on every route that reads what GET answers, without its body."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client import generate_latest
from tests.read_api import BASE_PATH, UNLIMITED
from tests.schema_servers import schema_servers

from meter.api import exports
from meter.db.usage_history import UsageHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.private_servers import PostgresServers
    from tests.schema_servers import SchemaServers

_DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
GETS = [
    (document, path)
    for document in ("api", "admin")
    for path, operations in json.loads((_DOCUMENTS / f"{document}.json").read_text())["paths"].items()
    if "get" in operations
]
#: Of one answer and no other.
_ITS_OWN = ("x-request-id", "ratelimit", "date")
#: What must be asked, and a period, which else ends now.
_QUERIES = {
    "check": {"user_id": "mia", "credits": "1"},
    "usage": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"},
}
_HISTORY = f"{BASE_PATH}/credits/acme/events"


@pytest.fixture(scope="module")
async def running(
    postgres_servers: PostgresServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SchemaServers]:
    async with (
        postgres_servers.database() as fresh,
        schema_servers(fresh.dsn, tmp_path_factory.mktemp("api")) as servers,
    ):
        yield servers


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """One client: bytes after the headers of HEAD would be taken for its next answer."""
    async with httpx.AsyncClient() as client:
        yield client


def headers_of(answer: httpx.Response) -> list[tuple[str, str]]:
    return sorted((name, value) for name, value in answer.headers.items() if name not in _ITS_OWN)


def left(answer: httpx.Response) -> int:
    """How often the caller may still ask."""
    return int(answer.headers["ratelimit"].split(";")[1].removeprefix("r="))


@pytest.mark.parametrize(("document", "path"), GETS)
async def test_head_answers_each_caller_as_get_does_without_a_body(
    running: SchemaServers, http: httpx.AsyncClient, document: str, path: str
) -> None:
    query = _QUERIES.get(path.rpartition("/")[2], {})
    statuses = []
    for caller in ("system-admin", "org-admin", "service", "nobody"):
        for org_id in ("acme", "unknown"):
            url = running.urls[document] + path.format(
                org_id=org_id, user_id="mia", subscription_id=running.subscription_id
            )
            credential = running.credentials.get(caller)
            sent = {"Authorization": f"Bearer {credential}"} if credential else {}
            got = await http.get(url, params=query, headers=sent)
            head = await http.head(url, params=query, headers=sent)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert headers_of(head) == headers_of(got)
            if "ratelimit" in got.headers:
                # Or a new minute began between the two.
                assert left(head) in (left(got) - 1, UNLIMITED.reads - 1)
            statuses.append(got.status_code)
    assert 200 in statuses
    assert (401 in statuses) == path.startswith(BASE_PATH)


@pytest.mark.parametrize("format_", ["json", "csv", "ndjson"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_head_of_the_history_has_the_headers_of_each_format(
    running: SchemaServers, http: httpx.AsyncClient, format_: str, encoding: str
) -> None:
    sent = {
        "Authorization": f"Bearer {running.credentials['org-admin']}",
        "Accept-Encoding": encoding,
    }
    url = f"{running.urls['api']}{_HISTORY}?format={format_}"
    got, head = await http.get(url, headers=sent), await http.head(url, headers=sent)
    assert (head.status_code, headers_of(head)) == (200, headers_of(got))
    assert head.headers.get("content-encoding", "identity") == encoding


async def test_head_of_an_export_reads_one_piece_of_it(
    running: SchemaServers, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    read = UsageHistory.page

    async def counted(*given: object, **named: object) -> object:
        pages.append(named)
        return await read(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(UsageHistory, "page", counted)
    monkeypatch.setattr(exports, "CHUNK_ENTRIES", 40)
    sent = {"Authorization": f"Bearer {running.credentials['org-admin']}"}
    url = f"{running.urls['api']}{_HISTORY}?format=csv"
    await http.head(url, headers=sent)
    assert len(pages) == 1
    await http.get(url, headers=sent)
    assert len(pages) == 1 + 4


async def test_if_none_match_holds_for_head(running: SchemaServers, http: httpx.AsyncClient) -> None:
    url = f"{running.urls['api']}{BASE_PATH}/credits/acme"
    sent = {"Authorization": f"Bearer {running.credentials['org-admin']}"}
    etag = (await http.head(url, headers=sent)).headers["etag"]
    assert (await http.head(url, headers={**sent, "If-None-Match": etag})).status_code == 304


async def test_head_is_405_where_nothing_is_read_and_allowed_where_get_is(
    running: SchemaServers, http: httpx.AsyncClient
) -> None:
    sent = {"Authorization": f"Bearer {running.credentials['org-admin']}"}
    admin = running.urls["admin"] + BASE_PATH
    refused = await http.head(f"{admin}/credits/acme/add", headers=sent)
    assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")
    both = await http.delete(f"{admin}/organizations", headers=sent)
    assert (both.status_code, both.headers["allow"]) == (405, "GET, HEAD, POST")
    read_only = await http.delete(f"{running.urls['api']}{BASE_PATH}/organizations", headers=sent)
    assert (read_only.status_code, read_only.headers["allow"]) == (405, "GET, HEAD")
    unknown = await http.head(f"{running.urls['api']}{BASE_PATH}/nowhere", headers=sent)
    assert unknown.status_code == 404


async def test_head_is_counted_as_head(running: SchemaServers, http: httpx.AsyncClient) -> None:
    await http.head(f"{running.urls['api']}/livez")
    assert (
        'meter_http_requests_total{method="HEAD",route="/livez",status="200"}'
        in generate_latest(running.registry).decode()
    )
