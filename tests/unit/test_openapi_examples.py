"""Both OpenAPI documents, as they are checked in, have a valid example of all that is sent and answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from meter.api.problems import TYPE_PREFIX, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = Path(__file__).parents[2] / "docs" / "openapi"
#: Its tables list the types of problems, those of the reads first.
_PAGE = (_FOLDER.parent / "api.md").read_text("utf-8")
_TYPE = re.compile(rf"^\| `({TYPE_PREFIX}[a-z-]+)` \|", re.MULTILINE)
DOCUMENTS = {name: json.loads((_FOLDER / f"{name}.json").read_text("utf-8")) for name in ("api", "admin")}
OPERATIONS = [
    pytest.param(document, operation, id=f"{name} {method} {path}")
    for name, document in DOCUMENTS.items()
    for path, operations in document["paths"].items()
    for method, operation in operations.items()
]
#: Beside JSON: the history as text, whose examples are looked at in test_api_openapi.py.
_TEXT = ("text/csv", "application/x-ndjson")


def examples_of(described: dict[str, Any]) -> list[Any]:
    """Of a parameter, a body or an answer, wherever OpenAPI 3.1 allows them to stand."""
    if "example" in described:
        return [described["example"]]
    if "examples" in described:
        return [example["value"] for example in described["examples"].values()]
    return list(described["schema"].get("examples", []))


def check(document: dict[str, Any], described: dict[str, Any]) -> None:
    examples = examples_of(described)
    assert examples
    for example in examples:
        jsonschema.validate(
            example,
            {**described["schema"], "components": document["components"]},
            cls=jsonschema.Draft202012Validator,
            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
        )


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_every_parameter_and_every_body_has_an_example(
    document: dict[str, Any], operation: dict[str, Any]
) -> None:
    for parameter in operation.get("parameters", []):
        check(document, parameter)
    for content in operation.get("requestBody", {"content": {}})["content"].values():
        check(document, content)


@pytest.mark.parametrize(("document", "operation"), OPERATIONS)
def test_every_answer_has_an_example_and_every_error_one_of_its_status(
    document: dict[str, Any], operation: dict[str, Any]
) -> None:
    for status, answer in operation["responses"].items():
        assert answer["description"]
        # Nothing is answered to these.
        assert bool(answer.get("content")) == (status not in ("204", "304"))
        for media_type, content in answer.get("content", {}).items():
            if media_type in _TEXT:
                assert content["example"]
                continue
            check(document, content)
            if media_type == "application/problem+json":
                assert {example["status"] for example in examples_of(content)} == {int(status)}


def kinds(document: dict[str, Any]) -> Iterator[str]:
    for operations in document["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                content = answer.get("content", {}).get("application/problem+json")
                yield from (example["type"] for example in examples_of(content)) if content else ()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_type_of_problem_that_an_api_has_is_shown_and_no_other(name: str) -> None:
    of_reads, _, _of_writes = _PAGE.partition("\nAnd of the writes:\n")
    # What is no request reaches no operation that could show it.
    everything = {TYPE_PREFIX + kind for kind in Kind if kind != Kind.MALFORMED_REQUEST}
    possible = {
        "api": everything & set(_TYPE.findall(of_reads)),
        "admin": everything - {TYPE_PREFIX + Kind.READ_ONLY},
    }
    assert set(kinds(DOCUMENTS[name])) == possible[name]
