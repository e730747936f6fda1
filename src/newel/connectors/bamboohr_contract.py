"""What is agreed with BambooHR: its routes, its records, its signed events, its refusals.

Refusals say why in a header. Throttling is 503. A field that is left out of an answer is hidden
from the key. Source: connectors document, §17; BambooHR's document of June 2026.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final, Literal

import orjson

from newel.base.errors import (
    Invalid,
    InvalidInput,
    StepError,
    Throttled,
)
from newel.base.secrets import Secret
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.contract import Shape
from newel.connectors.hr import Hint
from newel.connectors.webhooks import SignatureInvalid

API: Final = "bamboohr.api"
_V1: Final = "/api/v1"
FIELDS: Final = Route("list-fields", "GET", f"{_V1}/meta/fields", API)
EMPLOYEE: Final = Route("get-employee", "GET", f"{_V1}/employees/{{id}}", API)
DIRECTORY: Final = Route("get-employees-directory", "GET", f"{_V1}/employees/directory", API)
CHANGED: Final = Route("get-changed-employee-ids", "GET", f"{_V1}/employees/changed", API)
CREATE_EMPLOYEE: Final = Route("create-employee", "POST", f"{_V1}/employees", API)
_ROWS: Final = "employees/{id}/tables/{table}"
ROWS: Final = Route("get-employee-table-data", "GET", f"{_V1}/{_ROWS}", API)
ADD_ROW: Final = Route("create-table-row-v1-1", "POST", f"/api/v1_1/{_ROWS}", API)
WEBHOOKS: Final = Route("list-webhooks", "GET", f"{_V1}/webhooks", API)
CREATE_WEBHOOK: Final = Route("create-webhook", "POST", f"{_V1}/webhooks", API)
DELETE_WEBHOOK: Final = Route(
    "delete-webhook", "DELETE", f"{_V1}/webhooks/{{id}}", API, repeatable=True
)

# Our names of what is read, and BambooHR's. A company may keep some under fields of its own.
NAMES: Final[Mapping[str, str]] = {
    "number": "employeeNumber",
    "given_name": "firstName",
    "family_name": "lastName",
    "work_email": "workEmail",
    "private_email": "homeEmail",
    "title": "jobTitle",
    "department": "department",
    "location": "location",
    "manager": "supervisorEId",
    "starts_on": "hireDate",
    "ends_on": "terminationDate",
    "is_active": "status",
}
_TOLERANCE: Final = timedelta(minutes=5)
_KINDS: Final[Mapping[str, Literal["created", "updated", "deleted"]]] = {
    "created": "created",
    "inserted": "created",
    "updated": "updated",
    "deleted": "deleted",
}


@dataclass(frozen=True)
class Changed:
    """Whose records have changed, by id; latest: the moment of the youngest change."""

    latest: str
    employees: dict[str, dict[str, Any]]  # Any: read field by field


@dataclass(frozen=True)
class Field:
    """A field of the company."""

    name: str
    alias: str | None = None


@dataclass(frozen=True)
class Directory:
    """Everybody, with the fields that the directory shows."""

    employees: tuple[dict[str, Any], ...]  # Any: as above


@dataclass(frozen=True)
class Hook:
    """A subscription, as listed."""

    id: str
    name: str
    url: str


@dataclass(frozen=True)
class Hooks:
    """All subscriptions of the key."""

    webhooks: tuple[Hook, ...]


@dataclass(frozen=True)
class NewHook:
    """A new subscription; the key is shown this once."""

    id: str
    privateKey: str  # noqa: N815 - the vendor's name


RECORD: Final = Shape(dict[str, Any])
CHANGES: Final = Shape(Changed)
FIELD_LIST: Final = Shape(tuple[Field, ...])
EVERYBODY: Final = Shape(Directory)
TABLE: Final = Shape(tuple[dict[str, Any], ...])
HOOKS: Final = Shape(Hooks)
NEW_HOOK: Final = Shape(NewHook)


def verified(
    headers: Mapping[str, str],
    raw: bytes,
    key: Secret,
    now: datetime,
    *,
    signature: str = "x-bamboohr-signature",
    timestamp: str = "x-bamboohr-timestamp",
) -> None:
    """Prove that a message comes from BambooHR; raises SignatureInvalid.

    headers: names in lower case. raw: the bytes as they came. signature, timestamp: the names of
    the headers, which the vendor's document does not tell.
    """
    stamp = headers.get(timestamp, "")
    if not stamp.isdigit():
        raise SignatureInvalid(source="BambooHR", why="it has no time")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > _TOLERANCE:
        raise SignatureInvalid(source="BambooHR", why="its time is more than five minutes away")
    wanted = hmac.new(key.reveal().encode(), raw + stamp.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted.encode(), headers.get(signature, "").lower().encode()):
        raise SignatureInvalid(source="BambooHR", why="its signature is wrong")


def hints_of(raw: bytes) -> tuple[Hint, ...]:
    """Read whose records a message is about; raises InvalidInput. Pure.

    An event without an id of its own is named after its content, so that a second delivery of
    the same bytes is known.
    """
    try:
        return hints_in(orjson.loads(raw))
    except orjson.JSONDecodeError:
        raise InvalidInput({"": "is no event of BambooHR"}) from None


def hints_in(message: object) -> tuple[Hint, ...]:
    """Read whose records a message is about, as JSON data; raises InvalidInput. Pure."""
    listed = message.get("employees") if isinstance(message, dict) else None
    if isinstance(listed, list):
        digest = hashlib.sha256(orjson.dumps(message, option=orjson.OPT_SORT_KEYS)).hexdigest()
        return tuple(
            _hint(f"{digest[:32]}-{place}", str(each.get("action", "")), each.get("id"))
            for place, each in enumerate(listed)
            if isinstance(each, dict)
        )
    if isinstance(message, dict) and isinstance(data := message.get("data"), dict):
        kind = str(message.get("type", "")).partition(".")[2]
        return (_hint(str(message.get("id") or ""), kind, data.get("employeeId")),)
    raise InvalidInput({"": "is no event of BambooHR"})


def _hint(event: str, kind: str, employee: object) -> Hint:
    known = _KINDS.get(kind.lower())
    if not event or known is None or not isinstance(employee, str | int):
        raise InvalidInput({"": "is no event about an employee"})
    return Hint(event=event, employee=str(employee), kind=known)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of BambooHR, by status; the header says why."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    said, facts = sanitised(answer.headers.get("x-bamboohr-error-message")), facts_of(answer)
    match answer.status:
        case 503:
            wait = retry_after(answer)
            return Throttled("BambooHR asks for fewer calls.", **facts, **wait)
        case 409 | 412 | 406:
            return Invalid(f"BambooHR refuses the data: {said}", **facts)
        case _:
            return judged_by_status(answer, said=said)
