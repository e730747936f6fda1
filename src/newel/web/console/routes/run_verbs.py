"""The operator's verbs as forms, but for amending, which has a page of its own.

GET shows what follows and asks; POST acts and leads back to the run, where the result stands.
What changes the course asks for a reason, cancel also for the person's name.
Source: console document, §8.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from newel.base.errors import InvalidInput, NotFound, RequestError
from newel.base.ids import reference
from newel.flow.reading import result_of
from newel.store import runs
from newel.store.database import Row
from newel.web.console import copy
from newel.web.console.act_pages import told_of
from newel.web.console.acting import NEEDS_ADDRESS, acting_person, address_in
from newel.web.console.forms import Field, document_of, fields_of, filled, labels_of, rest_of_errors
from newel.web.console.pages import page, remembered, seen_at
from newel.web.problems import status_of
from newel.web.site import Reader, named, reader_of, site_of, zone_info

__all__ = ["router"]

router = APIRouter(include_in_schema=False)

VERBS: Final = (
    "retry",
    "complete-by-hand",
    "skip",
    "cancel",
    "pause",
    "resume",
    "reschedule",
    "fork",
    "acknowledge",
    "keep",
)
_NEEDS_REASON: Final = frozenset(
    {"complete-by-hand", "skip", "cancel", "pause", "reschedule", "keep"}
)
_MOMENT: Final = {
    "properties": {"at": {"type": "string", "format": "date-time", "title": "New moment"}},
    "required": ["at"],
}
_SHORTEST, _LONGEST = 8, 500


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a form is about: the run, the step (empty for the whole run), the step's result."""

    run: UUID
    row: Row
    verb: str
    key: str
    fields: tuple[Field, ...]
    has_value: bool

    @property
    def address(self) -> str:
        """The page of the run, at the step."""
        at = f"#{copy.quoted(self.key)}" if self.key else ""
        return f"/runs/{reference('run', self.run)}{at}"

    @property
    def subject(self) -> str:
        """What has to be typed to confirm a cancel: the person's name, else the process."""
        return str(self.row["display_name"] or self.row["process"])


@router.get("/runs/{run}/{verb}")
async def ask(request: Request, run: str, verb: str, key: str = "") -> Response:
    """Show the form of a verb."""
    read = await reader_of(request)
    asked = await _asked(read, run, verb, key)
    return await _form(request, read, asked, filled(asked.fields), {}, 200, {})


@router.post("/runs/{run}/{verb}")
async def act(request: Request, run: str, verb: str, key: str = "") -> Response:
    """Carry out a verb, or show the form again with what is wrong."""
    read = await reader_of(request)
    asked = await _asked(read, run, verb, key)
    async with request.form() as posted:
        try:
            forked = await _carry_out(request, asked, posted)
        except RequestError as error:
            fields = {_in_form(name, asked): why for name, why in told_of(error).items()}
            typed = {name: str(posted.get(name, "")) for name in ("actor", "reason", "evidence")}
            return await _form(
                request, read, asked, filled(asked.fields, posted, fields), fields,
                status_of(error), typed,
            )  # fmt: skip
        return remembered(seen_at(asked.address if forked is None else forked), address_in(posted))


async def _asked(read: Reader, run: str, verb: str, key: str) -> _Asked:
    if verb not in VERBS:
        raise NotFound(kind="page", reference=verb)
    identity = named("run", run)
    row = await runs.read(read.database, identity)
    if row is None:
        raise NotFound(kind="run", reference=run)
    fields: tuple[Field, ...] = ()
    process = read.processes.get(row["process"])
    codec = None if process is None or not key else result_of(process, key)
    has_value = False
    if verb == "complete-by-hand" and codec is not None:
        schema = codec.json_schema()
        has_value = schema.get("type") != "null"
        if has_value:
            fields = fields_of({"properties": {"value": schema}, "required": ["value"]})
    elif verb == "reschedule":
        fields = fields_of(_MOMENT)
    return _Asked(identity, row, verb, key, fields, has_value)


async def _carry_out(request: Request, asked: _Asked, posted: FormData) -> str | None:
    """Carry out the verb; gives the address of what came of it: a run, or a task."""
    wrong: dict[str, str] = {}
    reason = str(posted.get("reason", "")).strip()
    if asked.verb in _NEEDS_REASON and not _SHORTEST <= len(reason) <= _LONGEST:
        wrong["reason"] = f"needs {_SHORTEST} to {_LONGEST} characters: others will read it"
    evidence = str(posted.get("evidence", "")).strip()
    if asked.verb == "complete-by-hand" and not evidence:
        wrong["evidence"] = "is missing: say what shows that it was done"
    if asked.verb == "cancel" and str(posted.get("confirm", "")).strip() != asked.subject:
        wrong["confirm"] = f"must be “{asked.subject}”, exactly"
    if "@" not in address_in(posted):
        wrong["actor"] = NEEDS_ADDRESS
    if wrong:
        raise InvalidInput(wrong)
    value = _value(asked, posted)
    actor = await acting_person(request, posted)
    engine = site_of(request).engine
    match asked.verb:
        case "retry":
            await engine.retry(asked.run, asked.key or None, actor=actor)
        case "skip":
            return _confirming(await engine.skip(asked.run, asked.key, actor=actor, reason=reason))
        case "cancel":
            return _confirming(await engine.cancel(asked.run, actor=actor, reason=reason))
        case "pause":
            await engine.pause(asked.run, actor=actor, reason=reason)
        case "resume":
            await engine.resume(asked.run, actor=actor)
        case "reschedule":
            at = _moment(asked, posted)
            await engine.reschedule(asked.run, asked.key, at=at, actor=actor, reason=reason)
        case "keep":
            await engine.keep(asked.run, asked.key, actor=actor, reason=reason)
        case "acknowledge":
            await engine.acknowledge(asked.run, actor=actor, reason=reason)
        case "fork":
            forked = await engine.fork(asked.run, asked.key, actor=actor)
            return f"/runs/{reference('run', forked)}"
        case _:
            return _confirming(
                await engine.complete_by_hand(
                    asked.run, asked.key, value, evidence=evidence, actor=actor, reason=reason
                )
            )
    return None


def _confirming(task: UUID | None) -> str | None:
    """The page on which a second person confirms what was ordered."""
    return None if task is None else f"/tasks/{reference('tsk', task)}"


def _moment(asked: _Asked, posted: FormData) -> datetime:
    given = document_of(asked.fields, posted, zone_info(posted)).get("at")
    if given is None:
        raise InvalidInput({"at": "is missing"})
    return datetime.fromisoformat(str(given))


def _value(asked: _Asked, posted: FormData) -> object:
    if not asked.has_value:
        return None
    return document_of(asked.fields, posted, zone_info(posted)).get("value")


def _in_form(name: str, asked: _Asked) -> str:
    """Errors of a value are told from its root; in the form it is the field `value`."""
    if not asked.has_value or name in {"actor", "reason", "evidence", "confirm", ""}:
        return name
    return name if name.startswith("value") else f"value.{name}".rstrip(".")


async def _form(
    request: Request,
    read: Reader,
    asked: _Asked,
    fields: tuple[Field, ...],
    errors: Mapping[str, str],
    status: int,
    typed: Mapping[str, str],
) -> Response:
    known = {"actor", "reason", "evidence", "confirm"}
    others = {n: why for n, why in rest_of_errors(fields, errors).items() if n not in known}
    engine = site_of(request).engine
    told = await engine.why_drifted(asked.run, asked.key) if asked.verb == "keep" else ""
    words: Any = copy.verb_words(asked.verb, asked.key, asked.row["display_name"])
    return await page(
        request,
        "verb",
        read=read,
        status=status,
        section="runs",
        is_live=False,
        run=reference("run", asked.run),
        back=asked.address,
        verb=asked.verb,
        key=asked.key,
        words=words,
        told=told,
        subject=asked.subject,
        fields=fields,
        labels={**labels_of(fields), "actor": "Your work e-mail"},
        errors=errors,
        others=others,
        typed=typed,
    )
