"""What is agreed with Gusto: its routes, the fields we read, and what refusals mean.

Source: connectors document, §16; Gusto's API 2025-06-15.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from newel.base.errors import ContractDrift, Forbidden, Invalid, StepError, Throttled, Transient
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.contract import Shape
from newel.connectors.gate import LimitHeaders
from newel.connectors.paging import MOST_PAGES
from newel.connectors.rotating import Renewed

API: Final = "gusto.api"
_EMPLOYEES: Final = "/v1/companies/{company}/employees"
_EMPLOYEE: Final = "/v1/employees/{employee}"

TOKEN: Final = Route("oauth-access-token", "POST", "/oauth/token", reads=True)
TOKEN_INFO: Final = Route("get-v1-token-info", "GET", "/v1/token_info", API)
EMPLOYEES: Final = Route("get-v1-companies-company_id-employees", "GET", _EMPLOYEES, API)
EMPLOYEE: Final = Route("get-v1-employees", "GET", _EMPLOYEE, API)
CREATE_EMPLOYEE: Final = Route("post-v1-employees", "POST", _EMPLOYEES, API)
# A version goes with each, so that a second one with the same content is refused, not applied.
UPDATE_EMPLOYEE: Final = Route("put-v1-employees", "PUT", _EMPLOYEE, API, repeatable=True)
DELETE_EMPLOYEE: Final = Route("delete-v1-employee", "DELETE", _EMPLOYEE, API, repeatable=True)
ONBOARDING: Final = Route(
    "get-v1-employees-employee_id-onboarding_status", "GET", f"{_EMPLOYEE}/onboarding_status", API
)
MOVE_ONBOARDING: Final = Route(
    "put-v1-employees-employee_id-onboarding_status", "PUT", f"{_EMPLOYEE}/onboarding_status", API
)
JOBS: Final = Route("get-v1-employees-employee_id-jobs", "GET", f"{_EMPLOYEE}/jobs", API)
CREATE_JOB: Final = Route("post-v1-employees-employee_id-jobs", "POST", f"{_EMPLOYEE}/jobs", API)
PAY: Final = Route("get-v1-jobs-job_id-compensations", "GET", "/v1/jobs/{job}/compensations", API)
SET_PAY: Final = Route(
    "put-v1-compensations-compensation_id",
    "PUT",
    "/v1/compensations/{compensation}",
    API,
    repeatable=True,
)
ADDRESSES: Final = Route(
    "get-v1-employees-employee_id-work_addresses", "GET", f"{_EMPLOYEE}/work_addresses", API
)
CREATE_ADDRESS: Final = Route(
    "post-v1-employees-employee_id-work_addresses", "POST", f"{_EMPLOYEE}/work_addresses", API
)
TERMINATIONS: Final = Route(
    "get-v1-employees-employee_id-terminations", "GET", f"{_EMPLOYEE}/terminations", API
)
TERMINATE: Final = Route(
    "post-v1-employees-employee_id-terminations", "POST", f"{_EMPLOYEE}/terminations", API
)
MOVE_TERMINATION: Final = Route(
    "put-v1-terminations-employee_id", "PUT", "/v1/terminations/{employee}", API, repeatable=True
)
CANCEL_TERMINATION: Final = Route(
    "delete-v1-employees-employee_id-terminations",
    "DELETE",
    f"{_EMPLOYEE}/terminations",
    API,
    repeatable=True,
)
REHIRE: Final = Route("get-v1-employees-employee_id-rehire", "GET", f"{_EMPLOYEE}/rehire", API)
CREATE_REHIRE: Final = Route(
    "post-v1-employees-employee_id-rehire", "POST", f"{_EMPLOYEE}/rehire", API
)

# Onboarding states in which somebody has been invited, or is further.
INVITED: Final = frozenset(
    {
        "self_onboarding_invited",
        "self_onboarding_invited_started",
        "self_onboarding_invited_overdue",
        "self_onboarding_completed_by_employee",
        "self_onboarding_awaiting_admin_review",
        "onboarding_completed",
    }
)
STALE: Final = "invalid_resource_version"
_CHANGED: Final = "Somebody else changed the employee at this moment."
_NAMED_SCOPE: Final = re.compile(r"\b([a-z_]+:[a-z]+)\b")


@dataclass(frozen=True)
class Employee:
    """An employee; `email` is the private address."""

    uuid: str
    version: str = ""
    work_email: str | None = None
    email: str | None = None
    preferred_first_name: str | None = None
    onboarded: bool = False
    terminated: bool = False

    def is_at(self, address: str) -> bool:
        """Say whether this is the employee with an address: at work, else the private one."""
        known = self.work_email or self.email or ""
        return known.lower() == address.lower()


@dataclass(frozen=True)
class Onboarding:
    """How far the onboarding is."""

    onboarding_status: str


@dataclass(frozen=True)
class Position:
    """What an employee is hired to do; Gusto says job."""

    uuid: str
    title: str
    hire_date: str


@dataclass(frozen=True)
class Pay:
    """What an employee is paid for a position."""

    uuid: str
    version: str
    rate: str
    payment_unit: str
    flsa_status: str | None = None


@dataclass(frozen=True)
class WorkAddress:
    """Where an employee works from a day on."""

    uuid: str
    location_uuid: str
    effective_date: str


@dataclass(frozen=True)
class Termination:
    """The day an employee leaves."""

    uuid: str
    version: str
    effective_date: str
    active: bool = False
    run_termination_payroll: bool = False


@dataclass(frozen=True)
class Rehire:
    """The day somebody comes back."""

    effective_date: str
    work_location_uuid: str


@dataclass(frozen=True)
class TokenInfo:
    """What a token may do."""

    scope: str


ONE: Final = Shape(Employee)
PAGES: Final = Shape(tuple[Employee, ...])
RENEWED: Final = Shape(Renewed)
INFO: Final = Shape(TokenInfo)
STATE: Final = Shape(Onboarding)
POSITION: Final = Shape(Position)
POSITIONS: Final = Shape(tuple[Position, ...])
PAYS: Final = Shape(tuple[Pay, ...])
PAID: Final = Shape(Pay)
WORK_ADDRESSES: Final = Shape(tuple[WorkAddress, ...])
WORK_ADDRESS: Final = Shape(WorkAddress)
LEAVINGS: Final = Shape(tuple[Termination, ...])
LEAVING: Final = Shape(Termination)
COMING_BACK: Final = Shape(Rehire)


def judged(answer: Answer) -> StepError | None:
    """Class an answer of Gusto, by its category."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return judged_by_status(answer)
    errors = _errors(answer)
    code = errors[0].get("category") if errors else None
    text = " ".join(each.get("message", "") for each in errors)
    said, facts = sanitised(text), facts_of(answer, code)
    match answer.status:
        case 403:
            scope = _NAMED_SCOPE.search(text)
            missing = scope[1] if scope else None
            return Forbidden(f"The token may not do this: {said}", missing=missing, **facts)
        case 406:
            return ContractDrift(
                "Gusto does not speak this version of its API any more.",
                expected="the pinned version",
                seen=said,
                **facts,
            )
        case 409:
            return Transient(_CHANGED, **facts)
        case 422 if code == STALE:
            return Transient(_CHANGED, **facts)
        case 422:
            reasons = {e.get("error_key", ""): sanitised(e.get("message")) for e in errors}
            return Invalid(f"Gusto refuses the data: {said}", fields=reasons, **facts)
        case 429:
            wait = retry_after(answer)
            if wait or (reset := _reset(answer)) is None:
                return Throttled("Gusto asks for fewer calls.", **facts, **wait)
            return Throttled("Gusto asks for fewer calls.", retry_at=reset, **facts)
        case _:
            return judged_by_status(answer, code=code, said=said)


def limits(answer: Answer) -> LimitHeaders | None:
    """Read how many requests are left in this minute."""
    remaining = answer.headers.get("x-ratelimit-remaining", "")
    if not remaining.isdigit():
        return None
    return LimitHeaders(remaining=int(remaining), reset_at=_reset(answer))


def _errors(answer: Answer) -> list[dict[str, str]]:
    document = answer.fields
    listed = document.get("errors")
    if not isinstance(listed, list):
        return []
    return [
        {str(name): str(value) for name, value in each.items()}
        for each in listed
        if isinstance(each, dict)
    ]


def _reset(answer: Answer) -> datetime | None:
    stated = answer.headers.get("x-ratelimit-reset", "")
    return datetime.fromtimestamp(int(stated), UTC) if stated.isdigit() else None


def last_page(answer: Answer) -> int:
    """Give the number of the last page; as many as there may be, if the answer is silent."""
    stated = answer.headers.get("x-total-pages", "")
    return int(stated) if stated.isdigit() else MOST_PAGES
