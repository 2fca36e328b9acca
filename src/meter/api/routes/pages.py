"""Pages of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from meter.api.bodies import json_response, json_response_with_etag
from meter.api.cursors import encode_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

Item = TypeVar("Item")


def page_response(
    found: Sequence[Item], limit: int, last_id: Callable[[Item], str], *, known_to: Request | None = None
) -> Response:
    """Answer with a page of a list that goes by a textual id.

    Args:
        found: one item more than the page holds, where there is one.
        limit: items of the page at most.
        last_id: the id of an item, by which the list goes.
        known_to: the request, where its ``If-None-Match`` is honoured.
    """
    body = _page(found, limit, lambda item: encode_id(last_id(item)))
    return json_response(body) if known_to is None else json_response_with_etag(known_to, body)


def page_of(found: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> Response:
    """Answer with a page of any list.

    Args:
        found: one item more than the page holds, where there is one.
        limit: items of the page at most.
        cursor: leads on from an item.
    """
    return json_response(_page(found, limit, cursor))


def _page(found: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> dict[str, object]:
    items = found[:limit]
    more = len(found) > limit
    return {"items": items, "next_cursor": cursor(items[-1]) if more else None}
