"""The documents of the contract say what decoding does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from tests.malformed import UNDECODABLE, Malformed, usage

from meter.contract import EXAMPLES, VOID_EXAMPLES, batch_schema, documents, event_schema, main, void_schema
from meter.events import CONTENT_TYPE_BATCH, CONTENT_TYPE_EVENT, RefusalReason, decode_message

REPOSITORY = Path(__file__).parents[2]
EVENT = Draft202012Validator(event_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)
BATCH = Draft202012Validator(
    batch_schema(),
    registry=Registry().with_resources(
        [
            ("usage-event.schema.json", Resource.from_contents(event_schema())),
            ("usage-void.schema.json", Resource.from_contents(void_schema())),
        ]
    ),
)
VOID = Draft202012Validator(void_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)

#: What JSON Schema cannot say: limits by value, by bytes and by depth, and what a calendar and Unicode hold.
INEXPRESSIBLE = {
    RefusalReason.METADATA_TOO_LARGE,
    RefusalReason.NESTED_TOO_DEEP,
}
INEXPRESSIBLE_NAMES = {
    "1e-999999",
    "1e999999 in a string",
    "an exponent of 30 digits in a string",
    "seven decimal places",
    "seven decimal places in a string",
    "the 30th of February",
    "the year 0",
    "a time before the year 1 in UTC",
    "a time after the year 9999 in UTC",
    "a leap second at noon",
    "NUL in the metadata",
    "NUL in a key of the metadata",
    "NUL in an unknown field",
    "a lone surrogate",
    "a lone surrogate in the metadata",
    "1e400 in the metadata",
    "1e-400 in the metadata",
    "an integer of 400 digits in the metadata",
    "an integer of 5,000 digits in the metadata",
    "an integer of 10,000 digits",
    # Python's `$` also matches before a final line break, which the pattern language of JSON Schema does not.
    "an organization with a line break",
    "a line break in an amount",
}
EXPRESSIBLE = [
    kind
    for kind in UNDECODABLE
    if kind.content_type == CONTENT_TYPE_EVENT
    and kind.reason not in (RefusalReason.UNREADABLE, RefusalReason.MESSAGE_TOO_LARGE, *INEXPRESSIBLE)
    and kind.name not in INEXPRESSIBLE_NAMES
]


@pytest.mark.parametrize(
    "schema", [event_schema(), void_schema(), batch_schema()], ids=["event", "void", "batch"]
)
def test_the_schemas_are_json_schema(schema: dict[str, object]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_hold_for_the_schema_and_decode(example: dict[str, object]) -> None:
    assert list(EVENT.iter_errors(example)) == []
    assert decode_message(json.dumps(example).encode(), CONTENT_TYPE_EVENT).refusals == ()


@pytest.mark.parametrize("example", VOID_EXAMPLES)
def test_the_examples_of_voids_hold_for_their_schema_alone_and_decode(example: dict[str, object]) -> None:
    assert list(VOID.iter_errors(example)) == []
    assert not EVENT.is_valid(example)
    assert decode_message(json.dumps(example).encode(), CONTENT_TYPE_EVENT).refusals == ()


def test_a_batch_of_the_examples_holds_for_the_schema_and_decodes() -> None:
    examples = [*EXAMPLES, *VOID_EXAMPLES]

    assert list(BATCH.iter_errors(examples)) == []
    assert len(decode_message(json.dumps(examples).encode(), CONTENT_TYPE_BATCH).events) == len(examples)
    assert not BATCH.is_valid([])
    assert not BATCH.is_valid([examples[0]] * 1_001)
    assert not BATCH.is_valid([{}])


@pytest.mark.parametrize("kind", EXPRESSIBLE, ids=str)
def test_what_decoding_refuses_the_schema_refuses_where_it_can_say_it(kind: Malformed) -> None:
    assert not EVENT.is_valid(json.loads(kind.build("acme", 1)))


def test_most_kinds_can_be_said_in_json_schema() -> None:
    assert len(EXPRESSIBLE) > 35


def test_unknown_fields_and_nulls_hold_for_the_schema_as_they_do_for_decoding() -> None:
    event = usage("acme", 1, extension=1, data={"extra": [1]})
    optional = ("service_name", "quantity", "credits", "api_cost", "key_source", "request_id", "metadata")
    nulls = {**event, "data": {**event["data"], **dict.fromkeys(optional)}}  # type: ignore[dict-item]

    for accepted in (event, nulls):
        assert EVENT.is_valid(accepted)
        assert decode_message(json.dumps(accepted).encode(), CONTENT_TYPE_EVENT).refusals == ()


def test_the_documents_in_the_repository_are_what_the_model_says() -> None:
    assert main(["--check", str(REPOSITORY / "docs/contract")]) == 0


def test_a_document_that_differs_is_named_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    assert main(["--check", str(tmp_path)]) == 0
    (tmp_path / "asyncapi.json").write_text("{}")

    assert main(["--check", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("asyncapi.json in ")


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    written = documents()
    document = json.loads(written["asyncapi.json"])

    references = list(_references(document))

    assert len(references) > 5
    for reference in references:
        if not reference.startswith("#"):
            assert reference in written
            continue
        target = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def test_the_asyncapi_document_lists_every_reason() -> None:
    document = json.loads(documents()["asyncapi.json"])

    headers = document["components"]["messages"]["deadLetter"]["headers"]["properties"]

    assert headers["meter-reason"]["enum"] == list(RefusalReason)


def _references(document: object) -> list[str]:
    if isinstance(document, dict):
        own = [value for key, value in document.items() if key == "$ref"]
        return own + [found for value in document.values() for found in _references(value)]
    if isinstance(document, list):
        return [found for value in document for found in _references(value)]
    return []
