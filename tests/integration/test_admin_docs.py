"""Every keyed write that docs/api.md shows with ``curl`` works as it stands there, and none is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH

if TYPE_CHECKING:
    from tests.admin_api import AdminClient

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
CURL = re.compile(
    r"^curl -X POST "
    r'-H "Authorization: Bearer \$(?P<caller>TOKEN|SYSTEM_TOKEN|KEY)" -H "Idempotency-Key: (?P<key>\S+)" '
    r"-H \"Content-Type: application/json\" -d '(?P<body>.*)' \"\$ADMIN(?P<path>/credits/.*)\"$",
    re.MULTILINE,
)
SEED = """
select create_organization('acme');
select add_organization_member('acme', 'alice', 'owner');
"""


async def test_every_keyed_curl_of_the_page_works_and_every_keyed_write_has_one(
    control_plane: AdminClient,
) -> None:
    calls = list(CURL.finditer(PAGE))
    assert len(calls) == PAGE.count('-H "Idempotency-Key')
    async with control_plane.with_organizations(SEED) as api:
        authorization = {
            "TOKEN": api.headers("alice"),
            "SYSTEM_TOKEN": api.headers("sam", system_admin=True),
            "KEY": await api.service_headers("deduct"),
        }
        for call in calls:
            headers = {"Idempotency-Key": call["key"], "Content-Type": "application/json"}
            answer = await api.send(
                call["path"], authorization[call["caller"]] | headers, content=call["body"].encode()
            )
            assert answer.status_code == 200, (call["path"], answer.text)
    keyed = {
        path.removeprefix(BASE_PATH).replace("{org_id}", "acme")
        for path, operations in CONTRACT["paths"].items()
        for parameter in operations.get("post", {}).get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    assert {call["path"] for call in calls} == keyed
