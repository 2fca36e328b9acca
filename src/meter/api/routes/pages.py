"""Pages of lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from meter.api.bodies import json_response
from meter.api.cursors import encode_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response

Item = TypeVar("Item")


def page_response(found: Sequence[Item], limit: int, last_id: Callable[[Item], str]) -> Response:
    """Answer with a page of a list that goes by a textual id.

    Args:
        found: one item more than the page holds, where there is one.
        limit: items of the page at most.
        last_id: the id of an item, by which the list goes.
    """
    return page_of(found, limit, lambda item: encode_id(last_id(item)))


def page_of(found: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> Response:
    """Answer with a page of any list.

    Args:
        found: one item more than the page holds, where there is one.
        limit: items of the page at most.
        cursor: leads on from an item.
    """
    items = found[:limit]
    more = len(found) > limit
    return json_response({"items": items, "next_cursor": cursor(items[-1]) if more else None})
