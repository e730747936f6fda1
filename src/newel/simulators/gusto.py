"""Gusto: employees, their jobs and pay, onboarding states; versions refuse stale writes.

The contract is the vendor's document of API 2025-06-15, which is not part of this repository, and
the connectors document, §16. Nothing about an employee is unique, so a second POST makes a second
employee: that is the trap this simulator keeps. Views that can lag: `gusto.employees`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256

from .faults import Throttle
from .gusto_world import (
    CLIENT_ID,
    CLIENT_SECRET,
    SCOPES,
    SETTABLE,
    TOKEN_LASTS_S,
    GustoWorld,
    names_of,
)
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

VERSION = "2025-06-15"
EMPLOYEES = "/v1/companies/{company}/employees"
EMPLOYEE = "/v1/employees/{employee}"
ONLY_NEW = {"self_onboarding"}
# Legal moves of the onboarding state; source: the vendor's document, onboarding_status.
MOVES = {
    "admin_onboarding_incomplete": {
        "self_onboarding_pending_invite",
        "self_onboarding_invited",
        "onboarding_completed",
    },
    "self_onboarding_pending_invite": {"self_onboarding_invited", "admin_onboarding_incomplete"},
    "self_onboarding_invited": {"admin_onboarding_incomplete"},
    "self_onboarding_completed_by_employee": {"self_onboarding_awaiting_admin_review"},
    "self_onboarding_awaiting_admin_review": {"onboarding_completed"},
}
UNITS = {"Hour", "Week", "Month", "Year", "Paycheck"}
FLSA = {
    "Exempt",
    "Salaried Nonexempt",
    "Nonexempt",
    "Owner",
    "Commission Only Exempt",
    "Commission Only Nonexempt",
}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class GustoSimulator(GustoWorld):
    """One company at Gusto; see the module's text."""

    # How Gusto refuses -------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token."""
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        found = self.known_credential(secret) if kind.lower() == "bearer" else None
        if found is None:
            raise Refused(self.error("401", asked=asked))
        version = asked.headers.get("x-gusto-api-version")
        if version != VERSION:
            text = f"X-Gusto-API-Version {version!r} is not supported; {VERSION} is."
            raise Refused(self.problem(406, "base", "invalid_api_version", text))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403, naming the scope."""
        del asked, route
        text = f"The access token is missing the scope {missing[0]}."
        return self.problem(403, "base", "missing_oauth_scopes", text)

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Gusto's envelope for a category or a status."""
        del asked
        known = {
            "400": (400, "request", "invalid_json", "The request body is not valid JSON."),
            "401": (401, "base", "invalid_token", "The access token is invalid or has expired."),
            "404": (404, "request", "not_found", "The requested resource was not found."),
            "409": (409, "base", "invalid_resource_version", "The version is out of date."),
            "429": (429, "base", "rate_limited", "Too many requests."),
            "503": (503, "base", "unavailable", "Gusto is temporarily unavailable."),
        }
        status = int(code) if code.isdigit() else 422
        return self.problem(*known.get(code, (status, "base", code, code)))

    def problem(self, status: int, key: str, category: str, text: str) -> Answer:
        """Build the error envelope."""
        return Answer(
            status, {"errors": [{"error_key": key, "category": category, "message": text}]}
        )

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429."""
        wait = effect.retry_after
        reset = int((self.clock.now() + timedelta(seconds=wait or 60)).timestamp())
        headers = {
            "X-RateLimit-Limit": "200",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(reset),
        }
        if wait is not None:
            headers["Retry-After"] = str(wait)
        return self.error("429", asked=asked).with_headers(headers)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the request's id and the version that answered."""
        del asked
        identity = sha256(f"{self.seed}/{sequence}".encode()).hexdigest()[:32]
        return answer.with_headers({"X-Request-Id": identity, "X-Gusto-API-Version": VERSION})

    # Tokens ------------------------------------------------------------------------------------

    @route("POST", "/oauth/token", operation="oauth-access-token", mutating=False, open=True)
    def renew(self, asked: Asked) -> Answer:
        """Renew a token; the refresh token serves once, and the next one comes with the answer."""
        body = asked.json()
        if body.get("grant_type") != "refresh_token":
            return _refused(400, "unsupported_grant_type", "Refresh tokens are exchanged here.")
        if (body.get("client_id"), body.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _refused(401, "invalid_client", "Client authentication failed.")
        given = str(body.get("refresh_token"))
        kept = self.store.find("refresh_tokens", given)
        if kept is None or kept["is_spent"] or self.is_revoked("newel"):
            return _refused(400, "invalid_grant", "The refresh token is invalid or was used.")
        following = self.store.opaque("refresh", 43)
        self.store.put("refresh_tokens", given, {"is_spent": True})
        self.store.put("refresh_tokens", following, {"is_spent": False})
        secret = self.store.opaque("token", 43)
        self.grant("newel", secret, SCOPES, subject=self.company, for_s=TOKEN_LASTS_S)
        answer = {
            "access_token": secret,
            "refresh_token": following,
            "scope": " ".join(SCOPES),
            "token_type": "Bearer",
            "created_at": int(self.clock.now().timestamp()),
            "expires_in": TOKEN_LASTS_S,
        }
        return Answer(200, answer)

    # Who am I ----------------------------------------------------------------------------------

    @route("GET", "/v1/token_info", operation="get-v1-token-info")
    def token_info(self, asked: Asked) -> Answer:
        """Show the scopes of the token and whose it is."""
        company = self.store.find("companies", self.company) or {}
        body = {
            "scope": " ".join(sorted(asked.credential.scopes)),
            "resource": {"type": "Company", "uuid": self.company},
            "resource_owner": {"type": "CompanyAdmin", "uuid": company.get("admin")},
        }
        return Answer(200, body)

    # Employees ---------------------------------------------------------------------------------

    @route(
        "GET",
        EMPLOYEES,
        operation="get-v1-companies-company_id-employees",
        needs=("employees:read",),
    )
    def employees(self, asked: Asked) -> Answer:
        """List employees, one page at a time; the search term looks at names only."""
        self._company(asked)
        words = asked.query.get("search_term", "").lower().split()
        terminated = asked.query.get("terminated")
        rows = self.store.rows(
            "employees",
            lambda row: (
                all(word in names_of(row) for word in words)
                and (terminated is None or str(row["terminated"]).lower() == terminated)
            ),
            lag=self.lag("gusto.employees"),
        )
        size = self.page(int(asked.query.get("per", "25")), largest=100)
        number = max(1, int(asked.query.get("page", "1")))
        chosen = list(rows.values())[(number - 1) * size : number * size]
        headers = {
            "X-Page": str(number),
            "X-Per-Page": str(size),
            "X-Total-Count": str(len(rows)),
            "X-Total-Pages": str(max(1, -(-len(rows) // size))),
        }
        return Answer(200, [self.employee_view(row, asked) for row in chosen], headers)

    @route("POST", EMPLOYEES, operation="post-v1-employees", needs=("employees:manage",))
    def create_employee(self, asked: Asked) -> Answer:
        """Add an employee; every request adds one."""
        self._company(asked)
        wanted = asked.json()
        email = wanted.get("work_email") or wanted.get("email") or names_of(wanted)
        asked.concerns(f"account/{str(email).lower()}")
        self._check(wanted, SETTABLE | ONLY_NEW, required=("first_name", "last_name"))
        if wanted.get("self_onboarding") and not wanted.get("email"):
            text = "Email is required to invite the employee to self-onboard"
            raise Refused(self.problem(422, "email", "invalid_attribute_value", text))
        return Answer(201, self.employee_view(self.new_employee(wanted), asked))

    @route("GET", EMPLOYEE, operation="get-v1-employees", needs=("employees:read",))
    def employee(self, asked: Asked) -> Answer:
        """Show an employee."""
        return Answer(200, self.employee_view(self._employee(asked), asked))

    @route("PUT", EMPLOYEE, operation="put-v1-employees", needs=("employees:write",))
    def update_employee(self, asked: Asked) -> Answer:
        """Change an employee, if the version is the present one."""
        row, wanted = self._employee(asked), asked.json()
        asked.concerns(f"account/{(row['work_email'] or row['email'] or names_of(row)).lower()}")
        self._check_version(row, wanted, stale=409)
        self._check(wanted, SETTABLE | {"version"})
        fields = {name: value for name, value in wanted.items() if name != "version"}
        changed = self.keep("employees", {**row, **fields})
        return Answer(200, self.employee_view(changed, asked))

    @route("DELETE", EMPLOYEE, operation="delete-v1-employee", needs=("employees:manage",))
    def delete_employee(self, asked: Asked) -> Answer:
        """Delete an employee who is still being onboarded."""
        row = self._employee(asked)
        asked.concerns(f"account/{(row['work_email'] or row['email'] or names_of(row)).lower()}")
        if row["onboarding_status"] == "onboarding_completed":
            text = "Employee has completed onboarding and cannot be deleted"
            raise Refused(self.problem(422, "base", "invalid_operation", text))
        self.store.remove("employees", row["uuid"])
        return Answer(204)

    @route(
        "GET",
        EMPLOYEE + "/onboarding_status",
        operation="get-v1-employees-employee_id-onboarding_status",
        needs=("employees:read",),
    )
    def onboarding_status(self, asked: Asked) -> Answer:
        """Show how far the onboarding is."""
        return Answer(200, self.onboarding_view(self._employee(asked)))

    @route(
        "PUT",
        EMPLOYEE + "/onboarding_status",
        operation="put-v1-employees-employee_id-onboarding_status",
        needs=("employees:manage",),
    )
    def move_onboarding(self, asked: Asked) -> Answer:
        """Move the onboarding on, where the vendor allows the move."""
        row, wanted = self._employee(asked), asked.json().get("onboarding_status")
        asked.concerns(f"onboarding/{(row['work_email'] or row['email'] or names_of(row)).lower()}")
        if wanted not in MOVES.get(row["onboarding_status"], set()):
            text = f"Cannot go from {row['onboarding_status']} to {wanted}"
            raise Refused(self.problem(422, "onboarding_status", "invalid_operation", text))
        changed = {
            **row,
            "onboarding_status": wanted,
            "onboarded": wanted == "onboarding_completed",
        }
        return Answer(200, self.onboarding_view(self.keep("employees", changed)))

    # Jobs and pay ------------------------------------------------------------------------------

    @route(
        "GET",
        EMPLOYEE + "/jobs",
        operation="get-v1-employees-employee_id-jobs",
        needs=("jobs:read",),
    )
    def jobs(self, asked: Asked) -> Answer:
        """List the jobs of an employee."""
        rows = self.jobs_of(self._employee(asked)["uuid"])
        return Answer(200, [self.job_view(row, asked) for row in rows])

    @route(
        "POST",
        EMPLOYEE + "/jobs",
        operation="post-v1-employees-employee_id-jobs",
        needs=("jobs:write",),
    )
    def create_job(self, asked: Asked) -> Answer:
        """Add a job, which comes with one compensation; every request adds one."""
        employee, wanted = self._employee(asked), asked.json()
        person = employee["work_email"] or employee["email"] or names_of(employee)
        asked.concerns(f"job/{str(person).lower()}/{wanted.get('title')}")
        for name in ("title", "hire_date"):
            if not wanted.get(name):
                text = f"{name.replace('_', ' ').capitalize()} is required"
                raise Refused(self.problem(422, name, "invalid_attribute_value", text))
        self._check_date(wanted, "hire_date")
        known = {
            "title",
            "hire_date",
            "two_percent_shareholder",
            "state_wc_covered",
            "state_wc_class_code",
        }
        self._refuse_unknown(wanted, known)
        is_first = not self.jobs_of(employee["uuid"])
        job = {"state_wc_covered": None, "state_wc_class_code": None, **wanted}
        identity = self.store.uuid("job")
        row = self.keep(
            "jobs",
            {
                "two_percent_shareholder": False,
                **job,
                "uuid": identity,
                "employee_uuid": employee["uuid"],
                "primary": is_first,
            },
        )
        pay = {
            "uuid": self.store.uuid("compensation"),
            "job_uuid": identity,
            "employee_uuid": employee["uuid"],
            "rate": "0.00",
            "payment_unit": "Hour",
            "flsa_status": "Nonexempt",
            "effective_date": wanted["hire_date"],
            "title": wanted["title"],
            "adjust_for_minimum_wage": False,
            "minimum_wages": [],
        }
        self.keep("compensations", pay)
        return Answer(201, self.job_view(row, asked))

    @route(
        "GET",
        "/v1/jobs/{job}/compensations",
        operation="get-v1-jobs-job_id-compensations",
        needs=("compensations:read",),
    )
    def compensations(self, asked: Asked) -> Answer:
        """List the compensations of a job."""
        if self.store.find("jobs", asked.params["job"]) is None:
            raise Refused(self.error("404", asked=asked))
        rows = self.store.rows("compensations", lambda r: r["job_uuid"] == asked.params["job"])
        return Answer(200, list(rows.values()))

    @route(
        "PUT",
        "/v1/compensations/{compensation}",
        operation="put-v1-compensations-compensation_id",
        needs=("compensations:write",),
    )
    def update_compensation(self, asked: Asked) -> Answer:
        """Set the pay, if the version is the present one."""
        row = self.store.find("compensations", asked.params["compensation"])
        if row is None:
            raise Refused(self.error("404", asked=asked))
        wanted = asked.json()
        asked.concerns(f"pay/{row['uuid']}")
        self._check_version(row, wanted, stale=422)
        known = {"rate", "payment_unit", "flsa_status", "effective_date", "title"}
        self._refuse_unknown(
            wanted, known | {"version", "adjust_for_minimum_wage", "minimum_wages"}
        )
        for name, values in (("payment_unit", UNITS), ("flsa_status", FLSA)):
            if wanted.get(name, next(iter(values))) not in values:
                text = f"{name} is not included in the list"
                raise Refused(self.problem(422, name, "invalid_attribute_value", text))
        if "rate" in wanted and not re.fullmatch(r"\d+(\.\d{1,2})?", str(wanted["rate"])):
            text = "Rate must be a number"
            raise Refused(self.problem(422, "rate", "invalid_attribute_value", text))
        fields = {name: value for name, value in wanted.items() if name != "version"}
        if "rate" in fields:
            fields["rate"] = f"{float(fields['rate']):.2f}"
        return Answer(200, self.keep("compensations", {**row, **fields}))

    # Places, leaving and coming back ------------------------------------------------------------

    @route(
        "GET",
        "/v1/companies/{company}/locations",
        operation="get-v1-companies-company_id-locations",
        needs=("companies:read",),
    )
    def locations(self, asked: Asked) -> Answer:
        """List the places of work of the company."""
        self._company(asked)
        return Answer(200, list(self.store.rows("locations").values()))

    @route(
        "GET",
        EMPLOYEE + "/work_addresses",
        operation="get-v1-employees-employee_id-work_addresses",
        needs=("employees:read",),
    )
    def work_addresses(self, asked: Asked) -> Answer:
        """List where an employee works and has worked."""
        employee = self._employee(asked)["uuid"]
        rows = self.store.rows("work_addresses", lambda row: row["employee_uuid"] == employee)
        return Answer(200, list(rows.values()))

    @route(
        "POST",
        EMPLOYEE + "/work_addresses",
        operation="post-v1-employees-employee_id-work_addresses",
        needs=("employees:manage",),
    )
    def create_work_address(self, asked: Asked) -> Answer:
        """Set where an employee works from a day on; every request adds one."""
        employee, wanted = self._employee(asked), asked.json()
        asked.concerns(f"work_address/{employee['uuid']}/{wanted.get('effective_date')}")
        self._refuse_unknown(wanted, {"location_uuid", "effective_date"})
        self._check_date(wanted, "effective_date")
        place = self.store.find("locations", str(wanted.get("location_uuid")))
        if place is None:
            text = "Location does not exist"
            raise Refused(self.problem(422, "location_uuid", "invalid_attribute_value", text))
        shown = ("street_1", "street_2", "city", "state", "zip", "country")
        row = {
            "uuid": self.store.uuid("work_address"),
            "employee_uuid": employee["uuid"],
            "location_uuid": place["uuid"],
            "effective_date": wanted.get("effective_date") or self.today(),
            "active": True,
            **{name: place[name] for name in shown},
        }
        return Answer(201, self.keep("work_addresses", row))

    @route(
        "GET",
        EMPLOYEE + "/terminations",
        operation="get-v1-employees-employee_id-terminations",
        needs=("employments:read",),
    )
    def terminations(self, asked: Asked) -> Answer:
        """List when an employee leaves or has left."""
        rows = self.terminations_of(self._employee(asked)["uuid"])
        return Answer(200, [self.termination_view(row) for row in rows])

    @route(
        "POST",
        EMPLOYEE + "/terminations",
        operation="post-v1-employees-employee_id-terminations",
        needs=("employments:write",),
    )
    def create_termination(self, asked: Asked) -> Answer:
        """Let an employee leave on a day; there can be one open termination."""
        employee = self._employee(asked)
        asked.concerns(f"termination/{self._name(employee)}")
        fields = self._leaving(asked)
        held = [self.termination_view(row) for row in self.terminations_of(employee["uuid"])]
        if employee["terminated"] or any(row["cancelable"] for row in held):
            text = "Employee already has a termination"
            raise Refused(self.problem(422, "base", "invalid_operation", text))
        identity = self.store.uuid("termination")
        row = {"uuid": identity, "employee_uuid": employee["uuid"], **fields}
        return Answer(201, self.termination_view(self.keep("terminations", row)))

    @route(
        "PUT",
        "/v1/terminations/{employee}",
        operation="put-v1-terminations-employee_id",
        needs=("employments:write",),
    )
    def update_termination(self, asked: Asked) -> Answer:
        """Change when an employee leaves, if the version is the present one."""
        employee = self._employee(asked)
        asked.concerns(f"termination/{self._name(employee)}")
        row = self._termination(asked, employee)
        self._check_version(row, asked.json(), stale=422)
        kept = self.keep("terminations", {**row, **self._leaving(asked)})
        return Answer(200, self.termination_view(kept))

    @route(
        "DELETE",
        EMPLOYEE + "/terminations",
        operation="delete-v1-employees-employee_id-terminations",
        needs=("employments:write",),
    )
    def delete_termination(self, asked: Asked) -> Answer:
        """Let an employee stay after all, before the day."""
        employee = self._employee(asked)
        asked.concerns(f"termination/{self._name(employee)}")
        row = self._termination(asked, employee)
        if not self.termination_view(row)["cancelable"]:
            text = "Termination has taken effect and cannot be cancelled"
            raise Refused(self.problem(422, "base", "invalid_operation", text))
        self.store.remove("terminations", row["uuid"])
        return Answer(204)

    @route(
        "GET",
        EMPLOYEE + "/rehire",
        operation="get-v1-employees-employee_id-rehire",
        needs=("employments:read",),
    )
    def rehire(self, asked: Asked) -> Answer:
        """Show when an employee comes back; 204 if that is not planned."""
        row = self.store.find("rehires", self._employee(asked)["uuid"])
        return Answer(204) if row is None else Answer(200, self.rehire_view(row))

    @route(
        "POST",
        EMPLOYEE + "/rehire",
        operation="post-v1-employees-employee_id-rehire",
        needs=("employments:write",),
    )
    def create_rehire(self, asked: Asked) -> Answer:
        """Let somebody who has left come back."""
        employee, wanted = self._employee(asked), asked.json()
        asked.concerns(f"rehire/{self._name(employee)}")
        if not employee["terminated"] or self.store.find("rehires", employee["uuid"]):
            text = "Employee cannot be rehired"
            raise Refused(self.problem(422, "base", "invalid_operation", text))
        for name in ("effective_date", "file_new_hire_report", "work_location_uuid"):
            if wanted.get(name) is None:
                text = f"{name.replace('_', ' ').capitalize()} is required"
                raise Refused(self.problem(422, name, "invalid_attribute_value", text))
        self._check_date(wanted, "effective_date")
        if self.store.find("locations", str(wanted["work_location_uuid"])) is None:
            text = "Location does not exist"
            raise Refused(self.problem(422, "work_location_uuid", "invalid_attribute_value", text))
        row = {
            "uuid": employee["uuid"],
            "employee_uuid": employee["uuid"],
            "effective_date": wanted["effective_date"],
            "file_new_hire_report": wanted["file_new_hire_report"],
            "work_location_uuid": wanted["work_location_uuid"],
            "employment_status": wanted.get("employment_status", "not_set"),
            "two_percent_shareholder": bool(wanted.get("two_percent_shareholder")),
        }
        return Answer(201, self.rehire_view(self.keep("rehires", row)))

    def _leaving(self, asked: Asked) -> Document:
        wanted = asked.json()
        self._refuse_unknown(wanted, {"version", "effective_date", "run_termination_payroll"})
        if not wanted.get("effective_date"):
            text = "Effective date is required"
            raise Refused(self.problem(422, "effective_date", "invalid_attribute_value", text))
        self._check_date(wanted, "effective_date")
        return {
            "effective_date": wanted["effective_date"],
            "run_termination_payroll": bool(wanted.get("run_termination_payroll")),
        }

    def _termination(self, asked: Asked, employee: Document) -> Document:
        rows = self.terminations_of(employee["uuid"])
        if not rows:
            raise Refused(self.error("404", asked=asked))
        return rows[-1]

    @staticmethod
    def _name(employee: Document) -> str:
        name = employee["work_email"] or employee["email"] or names_of(employee)
        return str(name).lower()

    # Checks ------------------------------------------------------------------------------------

    def _company(self, asked: Asked) -> None:
        if asked.params["company"] != self.company:
            raise Refused(self.error("404", asked=asked))

    def _employee(self, asked: Asked) -> Document:
        found = self.store.find("employees", asked.params["employee"])
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def _check(self, wanted: Document, known: set[str], *, required: Sequence[str] = ()) -> None:
        self._refuse_unknown(wanted, known)
        for name in required:
            if not str(wanted.get(name) or "").strip():
                text = f"{name.replace('_', ' ').capitalize()} is required"
                raise Refused(self.problem(422, name, "invalid_attribute_value", text))
        for name in ("email", "work_email"):
            if wanted.get(name) and not _EMAIL.fullmatch(str(wanted[name])):
                text = f"{name.replace('_', ' ').capitalize()} is not a valid email address"
                raise Refused(self.problem(422, name, "invalid_attribute_value", text))
        self._check_date(wanted, "date_of_birth")

    def _refuse_unknown(self, wanted: Document, known: set[str]) -> None:
        if unknown := sorted(wanted.keys() - known):
            text = f"{unknown[0]} is not a known attribute"
            raise Refused(self.problem(422, unknown[0], "invalid_attribute_value", text))

    def _check_date(self, wanted: Document, name: str) -> None:
        if wanted.get(name) is None:
            return
        try:
            date.fromisoformat(str(wanted[name]))
        except ValueError as wrong:
            text = f"{name} must be a date: YYYY-MM-DD"
            raise Refused(self.problem(422, name, "invalid_attribute_value", text)) from wrong

    def _check_version(self, row: Document, wanted: Document, *, stale: int) -> None:
        if not wanted.get("version"):
            raise Refused(self.problem(422, "version", "missing_parameter", "version is required"))
        if wanted["version"] != row["version"]:
            text = "The version is out of date; read the resource again."
            raise Refused(self.problem(stale, "base", "invalid_resource_version", text))


def _refused(status: int, error: str, text: str) -> Answer:
    """Refuse as token endpoints do. Source: RFC 6749, section 5.2."""
    return Answer(status, {"error": error, "error_description": text})
