"""The page of an act that asks who acts and perhaps why, and what is told of one that was refused.

Endpoints and systems are acted on by the same form: its words say what follows, and a refusal
shows it again with what was typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.base.errors import InvalidInput, ReasonMissing, RequestError
from newel.web.console.pages import page
from newel.web.console.systems_copy import ActWords
from newel.web.problems import status_of
from newel.web.site import Reader

__all__ = ["Refused", "act_page", "told_of"]

_FIELDS: Final = ("actor", "reason")
_REASON_MISSING: Final = "is missing: others will read it"


@dataclass(frozen=True, slots=True)
class Refused:
    """What was wrong with an act, by field, and what was typed; empty before anybody has acted."""

    errors: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    status: int = 200

    @classmethod
    def of(cls, error: RequestError, posted: FormData) -> Refused:
        """A refusal of what was posted."""
        typed = {name: str(posted.get(name, "")).strip() for name in _FIELDS}
        return cls(told_of(error), typed, status_of(error))


def told_of(error: RequestError) -> dict[str, str]:
    """Give what is wrong by field; under the empty name, what concerns none."""
    if isinstance(error, InvalidInput):
        return dict(error.fields)
    if isinstance(error, ReasonMissing):
        return {"reason": _REASON_MISSING}
    return {"": str(error)}


async def act_page(
    request: Request,
    read: Reader,
    *,
    section: str,
    name: str,
    back: str,
    action: str,
    words: ActWords,
    refused: Refused,
    what: str = "",
) -> Response:
    """Give the page of an act; back: where it came from. what: on what, where `name` says less."""
    others = {each: why for each, why in refused.errors.items() if each not in _FIELDS}
    return await page(
        request, "act", read=read, status=refused.status, section=section, is_live=False,
        name=name, back=back, action=action, what=what, words=words, errors=refused.errors,
        others=others, labels={"actor": "Your work e-mail", "reason": "Reason"},
        typed=refused.typed,
    )  # fmt: skip
