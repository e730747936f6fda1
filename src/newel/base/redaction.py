"""What must never be read in a log, and how it is taken out.

Three belts: a field is dropped unless its event declares it (`log`), a field whose name speaks of a
secret loses its value, and whatever looks like a secret or like a person's data is replaced, in any
text. Patterns err on the side of taking too much.
Source: our own audit document §15 and §16.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["HIDDEN", "LONGEST_TEXT", "MOST_ITEMS", "redacted", "redacted_text"]

HIDDEN: Final = "***"
LONGEST_TEXT: Final = 500
"""Characters that are kept of one text."""
MOST_ITEMS: Final = 50
"""Members that are kept of one list or record."""
_DEEPEST: Final = 4
_LARGEST: Final = 2**53  # beyond it, readers of JSON begin to differ

_SECRET_NAME: Final = re.compile(
    r"passw|secret|token|authori[sz]ation|cookie|api_?key|private_?key|credential|session_?id"
    r"|iban|bic\b|ssn|tax_?id|birth|e?mail|phone|address\b|first_?name|last_?name|given_?name"
    r"|family_?name|display_?name",
    re.IGNORECASE,
)
_SHAPES: Final = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/_.~=-]{8,}",
    r"\b(?:password|passwd|secret|token)\s*[=:]\s*\S+",
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?",  # JSON web token
    r"\b(?:gh[opsur]_|github_pat_|glpat-|xox[a-z]-|xapp-)[A-Za-z0-9_-]{8,}",  # by their prefixes
    r"\b(?:ya29\.|[spr]k_|AKIA|AIza|newel_)[A-Za-z0-9_./+=-]{8,}",
    r"(?<=://)[^\s/@:]{1,64}:[^\s/@]{1,128}(?=@)",  # user and password in an address
    r"[^\s@<>\"'(),;:]{1,64}@[^\s@<>\"'(),;:]{1,190}\.[^\s@<>\"'(),;:.]{2,}",  # mail
    r"(?-i:\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b)",  # IBAN
    r"\b\d{3}-\d{2}-\d{4}\b",  # social security number (United States)
    r"(?-i:\b[A-CEGHJ-PR-TW-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b)",  # national insurance (Britain)
    r"(?<![\w.:-])\d{2} ?\d{3} ?\d{3} ?\d{3}(?![\w.:-])",  # tax identification (Germany)
    r"\b(?:\d{4}[ -]){3}\d{1,7}\b",  # payment card
)
_PATTERNS: Final = re.compile("|".join(_SHAPES), re.IGNORECASE | re.DOTALL)


def redacted_text(text: str) -> str:
    """Take out what looks like a secret or a person's data, and shorten what is too long."""
    # A little more than is kept is looked at, so that nothing is cut in its middle and overlooked.
    looked_at = text[: LONGEST_TEXT * 4].encode(errors="replace").decode()
    shown = _PATTERNS.sub(HIDDEN, looked_at)
    return shown if len(shown) <= LONGEST_TEXT else f"{shown[:LONGEST_TEXT]}…"


def redacted(name: str, value: object, *, depth: int = 0) -> object:
    """Give a field's value as it may be logged: of JSON types, short, without secrets."""
    if _SECRET_NAME.search(name):
        return HIDDEN
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _LARGEST else hex(value)[:LONGEST_TEXT]
    if isinstance(value, str):
        return redacted_text(value)
    if depth >= _DEEPEST:
        return "…"
    if isinstance(value, Mapping):
        members = list(value.items())[:MOST_ITEMS]
        return {
            redacted_text(str(key)): redacted(str(key), item, depth=depth + 1)
            for key, item in members
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted("", item, depth=depth + 1) for item in list(value)[:MOST_ITEMS]]
    return redacted_text(str(value))
