"""What is wrong with a write is said in its turn: the caller first, then the key, then the body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.read_api import BASE_PATH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.admin_api import AdminClient


SEED = """
select create_organization('acme');
select add_organization_member('acme', 'adam', 'admin');
select add_organization_member('acme', 'mia', 'member');
"""
JSON = {"Content-Type": "application/json"}
HUGE = "9" * 5_000


@pytest.fixture(scope="module")
async def api(control_plane: AdminClient) -> AsyncIterator[AdminClient]:
    async with control_plane.with_organizations(SEED):
        yield control_plane
        assert await control_plane.owner.fetchval("select count(*) from request_answers") == 0


class Body:
    """A body that knows whether anybody read it."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.read = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        self.read = True
        for chunk in self.chunks:
            yield chunk


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        (None, "/credits/acme/add", 401),
        ("mia", "/credits/nowhere/add", 404),
        ("mia", "/credits/acme/add", 403),
        ("adam", "/credits/acme/add", 403),
        ("adam", "/credits/acme/reverse", 403),
        ("mia", "/credits/acme/allocate", 403),
        ("adam", "/credits/deduct", 403),
    ],
)
async def test_the_body_of_who_may_not_write_is_not_read(
    api: AdminClient, user: str | None, path: str, status: int
) -> None:
    body = Body(b"not json")
    headers = {} if user is None else api.headers(user)
    assert (await api.send(path, headers, content=body)).status_code == status
    assert not body.read


@pytest.mark.parametrize(
    "keys", [[], [""], ["a b"], ["é".encode()], ["k" * 129], ["one", "two"], ["\x01"]], ids=repr
)
async def test_a_write_needs_one_key_and_its_body_is_not_read_without(
    api: AdminClient, keys: list[str | bytes]
) -> None:
    body = Body(b"{}")
    encoded = [key if isinstance(key, bytes) else key.encode() for key in keys]
    headers = [
        *((name.encode(), value.encode()) for name, value in api.headers("adam").items()),
        *((b"Idempotency-Key", key) for key in encoded),
    ]
    response = await api.http.post(BASE_PATH + "/credits/acme/allocate", headers=headers, content=body)
    assert (response.status_code, response.json()["type"]) == (
        400,
        "urn:meter:problem:idempotency-key-missing",
    )
    assert not body.read


async def test_a_body_too_large_is_not_read_on(api: AdminClient) -> None:
    headers = api.headers("adam", key="k")
    declared = Body(b"x" * 70_000)
    answer = await api.send("/credits/acme/allocate", headers | {"Content-Length": "70000"}, content=declared)
    assert (answer.status_code, declared.read) == (413, False)
    undeclared = Body(*([b" " * 10_000] * 7))
    assert (await api.send("/credits/acme/allocate", headers, content=undeclared)).status_code == 413


@pytest.mark.parametrize(
    ("media_type", "content", "status"),
    [
        ("text/plain", b"[" * 70_000, 413),
        ("text/plain", b"[", 415),
        ("application/json", b"[", 422),
    ],
)
async def test_of_several_faults_of_a_body_the_first_in_order_is_told(
    api: AdminClient, media_type: str, content: bytes, status: int
) -> None:
    headers = api.headers("adam", key="k") | {"Content-Type": media_type}
    assert (await api.send("/credits/acme/allocate", headers, content=content)).status_code == status


@pytest.mark.parametrize(
    "media_type", [None, "", "text/plain", "application/xml", "application/jsonp", "json"]
)
async def test_a_body_of_another_kind_is_refused(api: AdminClient, media_type: str | None) -> None:
    headers = api.headers("adam", key="k")
    if media_type is not None:
        headers["Content-Type"] = media_type
    answer = await api.send("/credits/acme/allocate", headers, content=b'{"user_id": "mia", "credits": 1}')
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:meter:problem:unsupported-media-type")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "a JSON object"),
        (b"{", "a JSON object"),
        (b"[]", "a JSON object"),
        (b'"swordfish"', "a JSON object"),
        (b"\xff\xfe", "a JSON object"),
        (b"[" * 60_000, "a JSON object"),
        (b'{"credits": ' + HUGE.encode() + b"}", ""),
        (b'{"credits": 1e9999999999999999999999}', ""),
        (b'{"user_id": "mia"}', "credits"),
        (b'{"credits": 1}', "user_id"),
        (b'{"user_id": "mia", "credits": -1}', "credits: must not be negative"),
        (b'{"user_id": "mia", "credits": "NaN"}', "credits"),
        (b'{"user_id": "mia", "credits": 0.0000001}', "six decimal places"),
        (b'{"user_id": "mia", "credits": 1e14}', "fourteen"),
        (b'{"user_id": "mia", "credits": true}', "credits"),
        (b'{"user_id": "mia", "credits": null}', "credits"),
        (b'{"user_id": 7, "credits": 1}', "user_id"),
        (b'{"user_id": "", "credits": 1}', "user_id"),
        (b'{"user_id": "m\\u0000a", "credits": 1}', "user_id"),
        (b'{"user_id": "\\ud800", "credits": 1}', ""),
        (b'{"user_id": "' + b"m" * 256 + b'", "credits": 1}', "user_id"),
        (b'{"user_id": "mia", "credits": 1, "reset_period": "hourly"}', "reset_period"),
        (b'{"user_id": "mia", "credits": 1, "is_active": "yes"}', "is_active"),
        (b'{"user_id": "mia", "credits": 1, "notes": "' + b"n" * 256 + b'"}', "notes"),
        (b'{"user_id": "mia", "credits": 1, "swordfish": 1}', "known are user_id, credits"),
    ],
)
async def test_a_wrong_body_is_422_and_says_what_must_be(api: AdminClient, raw: bytes, said: str) -> None:
    answer = await api.send("/credits/acme/allocate", api.headers("adam", key="k") | JSON, content=raw)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]
    assert {fault["place"] for fault in answer.json()["errors"]} == {"body"}
    assert "swordfish" not in answer.text


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("add", {"credits": "0", "reason": "bonus"}, "more than 0"),
        ("add", {"credits": "1"}, "reason"),
        ("add", {"credits": "1", "reason": "gift"}, "reason"),
        ("add", {"credits": "1", "reason": "purchase", "purchase_amount": "-1"}, "purchase_amount"),
        ("add", {"credits": "1", "reason": "purchase", "payment_reference": ""}, "payment_reference"),
        ("reverse", {"credits": "0"}, "more than 0"),
        ("reverse", {"credits": "1", "reason": None}, "reason"),
    ],
)
async def test_a_wrong_amount_or_reason_is_422(
    api: AdminClient, path: str, body: dict[str, object], said: str
) -> None:
    answer = await api.by_system(f"/credits/acme/{path}", **body)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/credits/acme/add", "POST"),
        ("PUT", "/credits/acme/allocate", "POST"),
        ("DELETE", "/credits/acme", "GET, HEAD"),
        ("POST", "/credits/acme", "GET, HEAD"),
        ("PUT", "/credits/deduct", "POST"),
    ],
)
async def test_another_method_is_405_and_says_which_there_are(
    api: AdminClient, method: str, path: str, allowed: str
) -> None:
    answer = await api.http.request(method, BASE_PATH + path, headers=api.headers("adam"))
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["type"] == "urn:meter:problem:method-not-allowed"
    nowhere = await api.http.request(method, BASE_PATH + "/nowhere", headers=api.headers("adam"))
    assert nowhere.status_code == 404
