"""Requests of any method to the control plane, each held to the OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.admin_api import CONTRACT
from tests.read_api import BASE_PATH, check_against_contract

if TYPE_CHECKING:
    import httpx
    from tests.admin_api import AdminClient


async def call(
    api: AdminClient,
    method: str,
    path: str,
    as_user: str,
    body: object = None,
    *,
    system_admin: bool = False,
    **content: Any,
) -> httpx.Response:
    """Send a request with a JSON body, where there is one; ``headers`` go beside the caller's."""
    headers = api.headers(as_user, system_admin=system_admin) | content.pop("headers", {})
    if body is not None:
        content["json"] = body
    response = await api.http.request(method, BASE_PATH + path, headers=headers, **content)
    check_against_contract(response, CONTRACT)
    return response


def kind_of(response: httpx.Response) -> tuple[int, str]:
    """The status of a problem, and what its type ends with."""
    return response.status_code, response.json()["type"].rpartition(":")[2]


async def untouched(api: AdminClient, method: str, path: str, as_user: str) -> httpx.Response:
    """Send a request whose body must not be read: it raises when it is."""

    async def body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    return await call(api, method, path, as_user, content=body())
