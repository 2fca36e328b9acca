"""A batch as the exact bytes of its elements, so that one culprit does not take its neighbours along."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
#: A string (also one that never ends, so that it is looked at once) or a structural character.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{},]', re.DOTALL)
_CLOSING = {b"[": b"]", b"{": b"}"}
_BLANK = b" \t\n\r"


class NotABatch(Exception):
    """The body is not a JSON array."""


def split_batch(body: bytes, limit: int) -> list[msgspec.Raw] | list[bytes]:
    """Cut a JSON array into its elements.

    The parser stops at the first lone surrogate, and at a nesting deeper than Python's stack, although both
    are JSON: a body that it refuses is cut by a scanner that neither recurses nor reads strings.

    Args:
        body: valid UTF-8.
        limit: elements that are worth looking at; where there are more, they may be cut short and unread.

    Returns:
        The elements' exact bytes, in order.

    Raises:
        NotABatch: the body is not JSON, or not an array.
    """
    try:
        return _ARRAY.decode(body)
    except msgspec.ValidationError:
        raise NotABatch from None
    except (msgspec.DecodeError, RecursionError):
        elements = list(islice(_scan(body), limit + 1))
    if len(elements) <= limit and not all(map(is_json, elements)):
        raise NotABatch
    return elements


def parse_leniently(element: bytes) -> object:
    """Parse JSON whose strings may hold lone surrogates.

    Args:
        element: valid UTF-8.

    Returns:
        The parsed value, numbers as the strings they are written as.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested deeper than Python's stack.
    """
    return json.loads(element.decode(), parse_int=str, parse_float=str, parse_constant=_refuse_constant)


def is_json(element: bytes) -> bool:
    """Tell whether bytes are JSON, as far as it is nested.

    Args:
        element: valid UTF-8, with balanced brackets where it is nested deeper than Python's stack.

    Returns:
        Whether a parser could read it.
    """
    try:
        parse_leniently(element)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _scan(body: bytes) -> Iterator[bytes]:
    if body.lstrip(_BLANK)[:1] != b"[":
        raise NotABatch
    awaited: list[bytes] = []
    start = 0
    for token in _TOKEN.finditer(body):
        mark = token.group()
        if mark in _CLOSING:
            awaited.append(_CLOSING[mark])
            start = start or token.end()
        elif mark == b"," and len(awaited) == 1:
            yield body[start : token.start()].strip(_BLANK)
            start = token.end()
        elif mark in (b"]", b"}"):
            if not awaited or awaited.pop() != mark:
                raise NotABatch
            if not awaited:
                yield body[start : token.start()].strip(_BLANK)
                if body[token.end() :].strip(_BLANK):
                    raise NotABatch
                return
    raise NotABatch


def _refuse_constant(name: str) -> object:
    raise ValueError(name)
