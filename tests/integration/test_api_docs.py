"""Every ``curl`` of docs/api.md works, and every endpoint has one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from tests.read_api import BASE_PATH, read_api

from meter.api.app import ReadApi
from meter.api.problems import TYPE_PREFIX, Kind
from meter.db.pool import open_pool

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text("utf-8")
SQL = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CURL = re.compile(
    r'^curl -H "Authorization: Bearer \$(?P<token>TOKEN|SYSTEM_TOKEN)"'
    r'(?: -H "Accept: (?P<accept>.*)")? "\$BASE(?P<path>.*)"$',
    re.MULTILINE,
)


async def test_every_curl_of_the_page_works_and_every_endpoint_has_one(
    database: FreshDatabase, tmp_path: Path
) -> None:
    connection = await asyncpg.connect(database.dsn)
    await connection.execute("select create_organization('acme')")
    await connection.execute("select add_organization_member('acme', 'alice', 'owner')")
    subscription = str(await connection.fetchval("select id from start_subscription('acme', 'byok')"))
    await connection.close()
    calls = list(CURL.finditer(PAGE))
    assert len(calls) == PAGE.count("\ncurl -H ")
    async with read_api(database.dsn, tmp_path) as api:
        tokens = {
            "TOKEN": api.issuer.token("alice"),
            "SYSTEM_TOKEN": api.issuer.token("root", roles=["system_admin"]),
        }
        for call in calls:
            accept = {"Accept": call["accept"]} if call["accept"] else {}
            headers = {"Authorization": f"Bearer {tokens[call['token']]}", **accept}
            path = call["path"].replace("$SUBSCRIPTION", subscription)
            response = await api.http.get(BASE_PATH + path, headers=headers)
            assert response.status_code == 200, call["path"]
    called = {call["path"].partition("?")[0] for call in calls}
    for template in ReadApi().openapi()["paths"]:
        if template.startswith(BASE_PATH):
            path = template.removeprefix(BASE_PATH).replace("{org_id}", "acme").replace("{user_id}", "alice")
            assert path.replace("{subscription_id}", "$SUBSCRIPTION") in called


def test_every_type_of_problem_is_on_the_page() -> None:
    for kind in Kind:
        assert f"`{TYPE_PREFIX}{kind}`" in PAGE


async def test_the_question_about_reading_by_hand_is_answered_rightly(database: FreshDatabase) -> None:
    owner = await asyncpg.connect(database.dsn)
    await owner.execute("select create_organization('acme'), create_organization('globex')")
    await owner.execute("select add_organization_member('acme', 'alice', 'member')")
    await owner.close()
    ((script,),) = [match.groups() for match in SQL.finditer((DOCS / "faq.md").read_text("utf-8"))]
    begin, identity, question, commit = [part.strip() for part in script.split(";") if part.strip()]
    async with (
        await open_pool(database.dsn, "meter_reader", max_connections=1) as pool,
        pool.acquire() as reader,
    ):
        assert await reader.fetch(question) == []
        await reader.execute(begin)
        await reader.execute(identity)
        assert [row["org_id"] for row in await reader.fetch(question)] == ["acme"]
        await reader.execute(commit)
