"""An example of every answer, made of the examples of its fields, for the OpenAPI document."""

from __future__ import annotations

import enum
import types
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_MOMENT = "2026-01-31T12:00:00Z"
_UUID = "019a1c3e-7f00-7000-8000-000000000000"
_PLAIN: dict[object, object] = {str: "text", int: 1, float: 1.5, bool: True, datetime: _MOMENT, UUID: _UUID}


def example_of(model: type[BaseModel]) -> dict[str, Any]:
    """Make an example of a body.

    Args:
        model: the body.

    Returns:
        A JSON object that is valid for the model, each field by its name outside.
    """
    return {
        field.alias or name: _of_field(field.annotation, field.examples or [])
        for name, field in model.model_fields.items()
    }


def _of_field(annotation: object, given: list[Any]) -> object:
    return given[0] if given else _of_type(annotation)


def _of_type(annotation: object) -> object:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        given = [part.examples for part in arguments[1:] if isinstance(part, FieldInfo) and part.examples]
        return _of_field(arguments[0], given[0] if given else [])
    if origin in (Union, types.UnionType):
        return _of_type(next(argument for argument in arguments if argument is not types.NoneType))
    if origin is Literal:
        return arguments[0]
    if origin is list:
        return [_of_type(arguments[0])]
    if origin is dict:
        return {}
    return _of_class(annotation)


def _of_class(annotation: object) -> object:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return example_of(annotation)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return next(iter(annotation)).value
    return _PLAIN[annotation]
