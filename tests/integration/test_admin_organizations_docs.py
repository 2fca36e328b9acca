"""Every write of docs/api.md about subscriptions, organizations and members works, one after the other."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH, check_against_contract

if TYPE_CHECKING:
    from tests.admin_api import AdminClient

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SECTIONS = ("Subscriptions", "Changing organizations and members")
SEED = "select create_organization('acme', p_owner => 'alice')"
CURL = re.compile(r"^curl -X (?P<method>[A-Z]+) (?P<rest>.*)$", re.MULTILINE)


def writes() -> list[str]:
    """The commands, in the order in which they stand."""
    sections = [PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0] for title in SECTIONS]
    return [call[0] for section in sections for call in CURL.finditer(section)]


async def test_every_write_of_the_page_works(control_plane: AdminClient) -> None:
    commands = writes()
    assert len(commands) >= len(SECTIONS)
    async with control_plane.with_organizations(SEED) as api:
        known = {"ADMIN": BASE_PATH, "SUBSCRIPTION": ""}
        for name, system_admin in (("TOKEN", False), ("SYSTEM_TOKEN", True)):
            headers = api.headers("sam" if system_admin else "alice", system_admin=system_admin)
            known[name] = headers["Authorization"].removeprefix("Bearer ")
        for command in commands:
            answer = await _run(api, command, known)
            if command.endswith('"$ADMIN/subscriptions"'):
                known["SUBSCRIPTION"] = answer["id"]


def test_every_write_of_the_contract_is_on_the_page() -> None:
    told = {
        (call["method"], call["rest"].rpartition("$ADMIN")[2].rstrip('"')) for call in CURL.finditer(PAGE)
    }
    told = {(method, path.partition("?")[0]) for method, path in told}
    for template, operations in CONTRACT["paths"].items():
        if template.startswith(BASE_PATH):
            path = template.removeprefix(BASE_PATH).replace("{org_id}", "acme")
            path = path.replace("{user_id}", "a%2Fb@c").replace("{subscription_id}", "$SUBSCRIPTION")
            for method in operations.keys() - {"get"}:
                assert (method.upper(), path) in told


async def _run(api: AdminClient, command: str, known: dict[str, str]) -> dict[str, str]:
    """Run a command as a shell and curl would."""
    words = shlex.split(re.sub(r"\$([A-Z_]+)", lambda name: known[name[1]], command))
    assert words[:2] == ["curl", "-X"]
    method, url = words[2], words[-1]
    options = list(zip(words[3:-1:2], words[4:-1:2], strict=True))
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    sent = next((value for option, value in options if option == "-d"), None)
    response = await api.http.request(method, url, headers=headers, content=sent)
    check_against_contract(response, CONTRACT)
    assert response.status_code in (200, 201, 204), (command, response.text)
    answer: dict[str, str] = response.json() if response.content else {}
    return answer
