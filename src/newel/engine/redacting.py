"""What a failure says of the person whom a call was about is taken out before anybody keeps it.

Systems repeat what they were told: "Jane Doe (jane-doe, 4711) exists". Connectors take out what
looks personal by its shape (addresses, long numbers); names, handles and employee numbers have no
shape. But the call's own arguments say what they are, so the attempt that fails takes them out of
its message: of every step, whoever wrote it. The message is read by operators, in tickets, and in
rows that are in clear. Source: connectors document, §9 and §23 (C33).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Final
from urllib.parse import quote

from newel.domain.people import Person

__all__ = ["personal_words", "redacted"]

INSTEAD: Final = "<personal>"
_SHORTEST: Final = 3
_NAMES: Final = (
    "email", "mail", "username", "login", "handle", "phone", "address", "hr_key", "first_name",
    "last_name", "given_name", "family_name", "full_name", "display_name", "preferred_name",
    "nickname",
)  # fmt: skip
"""What a parameter or field is called, or ends with, that says who somebody is."""


def personal_words(arguments: Mapping[str, object]) -> tuple[str, ...]:
    """Give the words that say who somebody is, of a call's arguments by name; the longest first."""
    found: set[str] = set()
    for name, value in arguments.items():
        found.update(_words(name, value))
    return tuple(sorted(found, key=lambda word: (-len(word), word)))


def redacted(text: str, words: Iterable[str]) -> str:
    """Take words out of a text, whatever their case, where they stand by themselves."""
    for word in words:
        for spelled in dict.fromkeys((word, quote(word, safe=""))):
            text = re.sub(rf"(?<!\w){re.escape(spelled)}(?!\w)", INSTEAD, text, flags=re.IGNORECASE)
    return text


def _words(name: str, value: object) -> Iterator[str]:
    if isinstance(value, str):
        if name.endswith(_NAMES):
            yield from _long_enough(value, value.partition("@")[0])
    elif isinstance(value, Person):
        yield from _long_enough(value.name, *re.split(r"[\s,]+", value.name))
        yield from _of_fields(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from _of_fields(value)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _words(name, each)


def _of_fields(value: object) -> Iterator[str]:
    for field in fields(value):  # type: ignore[arg-type]  # asked before
        yield from _words(field.name, getattr(value, field.name))


def _long_enough(*words: str) -> Iterator[str]:
    yield from (word for word in words if len(word) >= _SHORTEST)
