"""JSON bodies of requests: read whole, within limits, with what is wrong said by place."""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import Request

from newel.base.errors import InvalidInput

__all__ = [
    "MAX_BYTES",
    "described",
    "document_of",
    "optional_text",
    "read_document",
    "read_members",
    "text_of",
]

MAX_BYTES: Final = 1024 * 1024
"""Bytes of a request's body at most. Security document, §10."""

_MAX_DEPTH: Final = 32
_MAX_MEMBERS: Final = 1_000
_MAX_TEXT: Final = 64 * 1024


async def read_document(request: Request) -> object:
    """Read the body as JSON; errors: InvalidInput, also for what is too deep or too wide."""
    return document_of(await request.body())


def document_of(body: bytes) -> object:
    """Read JSON; errors as in `read_document`."""
    try:
        document: object = orjson.loads(body)
    except orjson.JSONDecodeError as cause:
        where = f"line {cause.lineno}, column {cause.colno}"
        raise InvalidInput({"": f"is not JSON ({where}: {cause.msg})"}) from None
    _check(document, "", 1)
    return document


async def read_members(request: Request, *known: str) -> dict[str, object]:
    """Read a JSON object with no members but these; an empty body has none."""
    if not await request.body():
        return {}
    document = await read_document(request)
    if not isinstance(document, dict):
        raise InvalidInput({"": "must be an object"})
    if unknown := {str(name): "is not known here" for name in document if name not in known}:
        raise InvalidInput(unknown)
    return {str(name): value for name, value in document.items()}


def text_of(members: dict[str, object], name: str, *, otherwise: str | None = None) -> str:
    """Give a text member; errors: InvalidInput, if it is missing or no text."""
    value = members.get(name, otherwise)
    if value is None:
        raise InvalidInput({name: "is missing"})
    if not isinstance(value, str):
        raise InvalidInput({name: "must be text"})
    return value


def optional_text(members: dict[str, object], name: str) -> str | None:
    """Give a text member, or None where it is missing or empty; errors: InvalidInput."""
    return text_of(members, name, otherwise="") or None


def described(**members: str) -> dict[str, Any]:  # Any: OpenAPI
    """Describe a body of text members; one without a `?` behind it is required."""
    properties = {name: {"type": "string", "description": told} for name, told in members.items()}
    needed = [name for name, told in members.items() if not told.startswith("Optional")]
    schema = {"type": "object", "properties": properties, "required": needed}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def _check(value: object, at: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInput({at: f"is nested more than {_MAX_DEPTH} deep"})
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise InvalidInput({at: f"is longer than {_MAX_TEXT} characters"})
    if isinstance(value, dict):
        if len(value) > _MAX_MEMBERS:
            raise InvalidInput({at: f"has more than {_MAX_MEMBERS} members"})
        for name, part in value.items():
            _check(part, f"{at}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _check(part, f"{at}.{place}".lstrip("."), depth + 1)
