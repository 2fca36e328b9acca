"""Events as JSON text: plainly right ones, and ones a decoder may stumble over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from hypothesis import strategies as st

V7 = "019c13f0-7a00-7c3a-8a5e-0123456789ab"

Text = st.SearchStrategy[str]

_NEAR_V7 = (
    V7.upper(),
    V7.replace("7c", "4c"),
    V7.replace("-8", "-c"),
    f"{V7}\n",
    "x" * 8 + V7[8:],
    V7[:-1] + "١",
)
_WORDS = '0123456789 aé😀\n\x7f\x85\u2028[{E\\"/'
_ODD_CHARS = "\0\x1f\ud800\udfff"
_LIMITS = (0, 1, 36, 37, 100, 101, 128, 129, 200, 201, 255, 256)


@st.composite
def _spelled(draw: st.DrawFn, texts: Text) -> str:
    """Spell a string, with its characters escaped in one of the ways there are."""
    text = draw(texts)
    way = draw(st.sampled_from(("as it is", "in ASCII", "escaped")))
    if way != "escaped":
        return json.dumps(text, ensure_ascii=way == "in ASCII")
    units = text.encode("utf-16-be", "surrogatepass").hex()
    return '"' + "".join(rf"\u{units[at : at + 4]}" for at in range(0, len(units), 4)) + '"'


def _object(keys: Text, values: Text) -> Text:
    pairs = st.lists(st.builds("{}: {}".format, keys, values), max_size=4)
    return pairs.map(lambda made: "{" + ",".join(made) + "}")


_names = _spelled(st.text(_WORDS, min_size=1, max_size=8))
_strings = st.one_of(
    _spelled(st.text(_WORDS + _ODD_CHARS, max_size=8)),
    _spelled(st.builds(str.__mul__, st.sampled_from("aé😀"), st.sampled_from(_LIMITS))),
)
_plain_numbers = st.from_regex(r"(0|[1-9][0-9]{0,13})(\.[0-9]{1,6})?", fullmatch=True)
_odd_numbers = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,15}\.?[0-9]{0,8}", fullmatch=True),
    st.sampled_from(("-0", "-0.0", "0e5", "1e999999", "1e" + "9" * 30, "1" + "0" * 308, "9" * 310, "NaN")),
)
_quoted = '"{}"'.format
_amounts = _plain_numbers | _plain_numbers.map(_quoted) | st.just("null")
_odd_amounts = st.one_of(
    _odd_numbers,
    _odd_numbers.map(_quoted),
    st.sampled_from(('" 1"', '"1_0"', '"١"', '"+1"', '".5"', r'"\u0031"')),
)
_plain_scalars = _names | _plain_numbers | st.sampled_from(("true", "false", "null", "-1.50", "12.5"))
_scalars = _plain_scalars | _strings | _odd_numbers
_keys = _names | st.sampled_from(('"input_tokens"', '"datacontenttype"', '"a"', '"a"', '""', r'"\u0061"'))
_values = st.recursive(
    _scalars | _odd_amounts,
    lambda inner: _object(_keys, inner) | st.builds("[{},{}]".format, inner, inner),
    max_leaves=4,
)
_odd_metadata = st.one_of(
    _object(_keys | _strings, _values),
    st.sampled_from(
        (
            '{"a":1e-6}',
            '{"a":%s}' % ("1" * 309),
            *('{"a":"%s"}' % ("x" * size) for size in (300, 8_184, 8_185)),
        )
    ),
)
_times = st.builds(
    '"{}{}"'.format, st.datetimes().map(datetime.isoformat), st.sampled_from(("Z", "Z", "+00:00", "+00:59"))
)
_odd_times = st.one_of(
    st.from_regex(
        r'"(20[0-9]{2}|0001|9999)-(0[0-9]|1[0-3])-[0-3][0-9][Tt ]([01][0-9]|2[0-4]):[0-6][0-9]:[0-6][0-9]'
        r'([.,][0-9]{0,9})?([Zz]|[+-](0[0-9]|2[0-4]):?[0-9]{2}|)"',
        fullmatch=True,
    ),
    st.datetimes(timezones=st.timezones()).map(lambda at: f'"{at.isoformat()}"'),
    st.sampled_from(
        (
            '"2016-12-31T23:59:60Z"',
            '"2026-W05-6T12:00:00Z"',
            '"20260131T120000Z"',
            '"2026-01-31T24:00:00Z"',
            '"2026-01-31T12:00:00.9999999Z"',
            '"0001-01-01T00:00:00+01:00"',
            r'"2026-01-31T12:00:00\u005a"',
        )
    ),
)


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field usually holds, and what else it could hold; whether it may be absent."""

    usual: Text
    odd: Text = _values
    optional: bool = False


_EVENT = {
    "specversion": _Field(st.just('"1.0"'), st.sampled_from(('"1.1"', "1.0", r'"1\u002e0"'))),
    "type": _Field(st.just('"meter.usage.v1"'), st.sampled_from(('"meter.usage.void.v1"', '"a"', "1"))),
    "id": _Field(st.just(json.dumps(V7)) | _names, _strings | st.sampled_from(_NEAR_V7).map(json.dumps)),
    "source": _Field(_names, _strings),
    "subject": _Field(
        st.from_regex(r'"[A-Za-z0-9][A-Za-z0-9._:-]{0,35}"', fullmatch=True),
        _strings | st.sampled_from(('"user"', '"system"', r'"acme\n"', '"-a"', '"a/b"', '"ä"')),
    ),
    "time": _Field(_times, _odd_times),
}
_DATA = {
    "user_id": _Field(_names, _strings),
    "service_type": _Field(_names, _strings),
    "service_name": _Field(_names | st.just("null"), _strings, optional=True),
    "quantity": _Field(_amounts, _odd_amounts, optional=True),
    "credits": _Field(_amounts, _odd_amounts, optional=True),
    "api_cost": _Field(_amounts, _odd_amounts, optional=True),
    "key_source": _Field(
        st.sampled_from(('"platform"', '"byok"', "null")),
        st.sampled_from(('"own"', r'"\u0062yok"', "1")),
        optional=True,
    ),
    "request_id": _Field(_names | st.just("null"), _strings, optional=True),
    "metadata": _Field(_object(_keys, _plain_scalars) | st.just("null"), _odd_metadata, optional=True),
}
Pairs = list[tuple[str, str]]

_UNKNOWN = ('"datacontenttype"', '"folded"', '"extension"', '"metadata"')


@st.composite
def usage_messages(draw: st.DrawFn) -> bytes:
    """One event: about half of them plainly right, the others changed in one or two places, or damaged."""
    data = draw(_pairs(_DATA))
    event = draw(_pairs(_EVENT))
    changes = draw(st.sampled_from(("", "", "data", "event", "data event", "event event", "damage")))
    if "data" in changes:
        data = draw(_changed(data, _DATA))
    blank = draw(st.sampled_from(("", "", " ", "\r\n\t")))
    event.append(('"data"', _joined(data, blank)))
    for _ in range(changes.count("event")):
        event = draw(_changed(event, _EVENT))
    message = _joined(event, blank).encode("utf-8", "surrogatepass")
    return draw(_damaged(message)) if changes == "damage" else message


@st.composite
def _pairs(draw: st.DrawFn, fields: dict[str, _Field]) -> Pairs:
    present = [name for name, field in fields.items() if not field.optional or draw(st.booleans())]
    return [(json.dumps(name), draw(fields[name].usual)) for name in present]


@st.composite
def _changed(draw: st.DrawFn, pairs: Pairs, fields: dict[str, _Field]) -> Pairs:
    """Change one field, or the order of them."""
    at = draw(st.integers(0, len(pairs) - 1))
    key, value = pairs[at]
    field = fields.get(json.loads(key))
    odd = draw(_values if field is None else st.one_of(field.odd, field.odd, _values))
    match draw(st.sampled_from(("value", "value", "value", "twice", "missing", "unknown", "key", "order"))):
        case "value":
            replaced = [(key, odd)]
        case "twice":
            replaced = draw(st.permutations([(key, value), (key, odd)]))
        case "missing":
            replaced = []
        case "unknown":
            replaced = [(key, value), (draw(st.sampled_from(_UNKNOWN)), odd)]
        case "key":
            replaced = [(draw(_spelled(st.just(json.loads(key)))), value)]
        case _:
            return draw(st.permutations(pairs))
    return [*pairs[:at], *replaced, *pairs[at + 1 :]]


@st.composite
def _damaged(draw: st.DrawFn, message: bytes) -> bytes:
    at = draw(st.integers(0, len(message)))
    return message[:at] + draw(st.binary(max_size=2)) + message[at + draw(st.integers(0, 2)) :]


def _joined(pairs: Pairs, blank: str) -> str:
    fields = ",".join(f"{blank}{key}{blank}:{blank}{value}{blank}" for key, value in pairs)
    return f"{blank}{{{fields}}}{blank}"
