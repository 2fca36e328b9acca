"""Every ``curl`` of docs/api.md works, and every endpoint has one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
from tests.read_api import BASE_PATH, read_api

from meter.api.app import ReadApi
from meter.api.problems import TYPE_PREFIX, Kind

if TYPE_CHECKING:
    from tests.private_servers import FreshDatabase

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
CURL = re.compile(
    r'^curl -H "Authorization: Bearer \$TOKEN"(?: -H "Accept: (?P<accept>.*)")? "\$BASE(?P<path>.*)"$',
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
        headers = {"Authorization": f"Bearer {api.issuer.token('alice')}"}
        for call in calls:
            accept = {"Accept": call["accept"]} if call["accept"] else {}
            path = call["path"].replace("$SUBSCRIPTION", subscription)
            response = await api.http.get(BASE_PATH + path, headers=headers | accept)
            assert response.status_code == 200, call["path"]
    called = {call["path"].partition("?")[0] for call in calls}
    for template in ReadApi().openapi()["paths"]:
        if template.startswith(BASE_PATH):
            path = template.removeprefix(BASE_PATH).replace("{org_id}", "acme").replace("{user_id}", "alice")
            assert path.replace("{subscription_id}", "$SUBSCRIPTION") in called


def test_every_type_of_problem_is_on_the_page() -> None:
    for kind in Kind:
        assert f"`{TYPE_PREFIX}{kind}`" in PAGE
