"""What a company at Gusto is made of: employees, jobs, compensations, and how they are shown."""

from __future__ import annotations

from hashlib import sha256

from .core import Simulator
from .quota import RateLimit
from .system import Panel, RowAct, action
from .wire import Asked, Document

SCOPES = (
    "companies:read",
    "employees:read",
    "employees:write",
    "employees:manage",
    "employments:read",
    "employments:write",
    "jobs:read",
    "jobs:write",
    "compensations:read",
    "compensations:write",
)
CLIENT_ID = "newel-application"
CLIENT_SECRET = "secret-of-the-newel-application"
TOKEN_LASTS_S = 7200
PAY_FIELDS = ("rate", "payment_unit", "current_compensation_uuid", "compensations")
SETTABLE = {
    "first_name",
    "middle_initial",
    "last_name",
    "email",
    "work_email",
    "date_of_birth",
    "ssn",
    "preferred_first_name",
    "two_percent_shareholder",
}


class GustoWorld(Simulator):
    """The state of one company, and what people do there."""

    system = "gusto"
    title = "Gusto"
    # docs.gusto.com, rate limits: for each grant
    rate_limits = (RateLimit(most=200, seconds=60),)

    def populate(self) -> None:
        """Make the company and its token."""
        company = self.store.uuid("company")
        self.store.put(
            "companies",
            company,
            {"uuid": company, "name": "Acme", "admin": self.store.uuid("admin")},
        )
        self.grant("newel", self.store.opaque("token", 43), SCOPES, subject=company)
        self.store.put("refresh_tokens", self.store.opaque("refresh", 43), {"is_spent": False})
        place = {
            "uuid": self.store.uuid("location"),
            "company_uuid": company,
            "phone_number": "8009360383",
            "street_1": "525 20th St",
            "street_2": None,
            "city": "San Francisco",
            "state": "CA",
            "zip": "94107",
            "country": "USA",
            "mailing_address": True,
            "filing_address": True,
            "active": True,
            "inactive": False,
        }
        self.keep("locations", place)

    @property
    def company(self) -> str:
        """The id of the company."""
        return next(iter(self.store.rows("companies")))

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give token, company and address."""
        token = next(iter(self.store.rows("credentials", lambda row: row["label"] == "newel")))
        return {
            "GUSTO_TOKEN": token,
            "GUSTO_CLIENT_ID": CLIENT_ID,
            "GUSTO_CLIENT_SECRET": CLIENT_SECRET,
            "GUSTO_REFRESH_TOKEN": next(iter(self.store.rows("refresh_tokens"))),
            "GUSTO_COMPANY": self.company,
            "GUSTO_URL": address or "https://api.gusto.com",
        }

    def accounts(self) -> list[Document]:
        """List the employees."""
        return [
            {
                "id": row["uuid"],
                "handle": f"{row['first_name']} {row['last_name']}",
                "email": row["work_email"] or row["email"] or "",
                "state": row["onboarding_status"],
                "marker": "",
                "access": sorted(each["title"] for each in self.jobs_of(row["uuid"])),
            }
            for row in self.store.rows("employees").values()
        ]

    def panels(self) -> list[Panel]:
        """Show the employees with their pay."""
        rows, acts = [], []
        for account in reversed(self.accounts()):
            pay = [self.compensation_of(each) for each in self.jobs_of(account["id"])]
            pays = ", ".join(f"{p['rate']} per {p['payment_unit']}" for p in pay)
            titles = ", ".join(account["access"])
            rows.append((account["handle"], account["email"], account["state"], titles, pays))
            finish = RowAct(
                label="Finish",
                action="complete_self_onboarding",
                given={"work_email": account["email"]},
            )
            acts.append((finish,) if account["state"] == "self_onboarding_invited" else ())
        columns = ("Name", "E-mail", "State", "Title", "Pay")
        return [Panel(title="Employees", columns=columns, rows=rows, acts=acts)]

    # What people do ------------------------------------------------------------------------------

    @action
    def create_by_hand(self, first_name: str, last_name: str, work_email: str = "") -> str:
        """Let a payroll administrator add an employee in the browser."""
        fields = {
            "first_name": first_name,
            "last_name": last_name,
            "work_email": work_email or None,
        }
        return str(self.new_employee(fields)["uuid"])

    @action
    def complete_self_onboarding(self, work_email: str) -> None:
        """Let an invited person fill in everything."""
        row = self.store.first("employees", lambda each: each["work_email"] == work_email)
        if row is None:
            message = f"there is no employee {work_email}"
            raise ValueError(message)
        done = {"onboarding_status": "self_onboarding_completed_by_employee"}
        self.store.put("employees", row["uuid"], {**row, **done})

    # State and views -----------------------------------------------------------------------------

    def keep(self, table: str, row: Document) -> Document:
        """Write a row under the version that follows from its contents."""
        contents = {name: value for name, value in row.items() if name != "version"}
        version = sha256(f"{self.seed}{sorted(contents.items())}".encode()).hexdigest()[:32]
        return self.store.put(table, row["uuid"], {**contents, "version": version})

    def new_employee(self, wanted: Document) -> Document:
        """Make an employee at the beginning of their onboarding."""
        invited = bool(wanted.get("self_onboarding"))
        state = "self_onboarding_pending_invite" if invited else "admin_onboarding_incomplete"
        empty = dict.fromkeys(SETTABLE)
        fields = {name: value for name, value in wanted.items() if name in SETTABLE}
        return self.keep(
            "employees",
            {
                **empty,
                **fields,
                "uuid": self.store.uuid("employee"),
                "onboarding_status": state,
                "onboarded": False,
                "terminated": False,
            },
        )

    def today(self) -> str:
        """Give the present day."""
        return self.clock.now().date().isoformat()

    def tick(self) -> None:
        """Let terminations and rehires whose day has come take effect."""
        for row in self.store.rows("terminations").values():
            if row["effective_date"] <= self.today():
                employee: Document = self.store.find("employees", row["employee_uuid"]) or {}
                back = self.store.find("rehires", row["employee_uuid"])
                has_left = back is None or back["effective_date"] > self.today()
                if employee and employee["terminated"] is not has_left:
                    self.keep("employees", {**employee, "terminated": has_left})

    def terminations_of(self, employee: str) -> list[Document]:
        """List the terminations of an employee."""
        rows = self.store.rows("terminations", lambda row: row["employee_uuid"] == employee)
        return list(rows.values())

    def termination_view(self, row: Document) -> Document:
        """Show a termination: it can be taken back until its day has come."""
        is_past = row["effective_date"] <= self.today()
        return {**row, "active": is_past, "cancelable": not is_past}

    def rehire_view(self, row: Document) -> Document:
        """Show a rehire."""
        shown = {name: value for name, value in row.items() if name != "uuid"}
        return {**shown, "active": row["effective_date"] <= self.today()}

    def jobs_of(self, employee: str) -> list[Document]:
        """List the jobs of an employee, oldest first."""
        return list(self.store.rows("jobs", lambda row: row["employee_uuid"] == employee).values())

    def compensation_of(self, job: Document) -> Document:
        """Give the present compensation of a job."""
        rows = self.store.rows("compensations", lambda row: row["job_uuid"] == job["uuid"])
        return list(rows.values())[-1]

    def employee_view(self, row: Document, asked: Asked) -> Document:
        """Show an employee; the social security number is never shown."""
        shown: Document = {name: value for name, value in row.items() if name != "ssn"}
        shown |= {
            "company_uuid": self.company,
            "manager_uuid": None,
            "department": None,
            "has_ssn": row["ssn"] is not None,
            "ssn": "",
            "payment_method": "Check",
            "historical": False,
            "terminations": [],
            "custom_fields": [],
            "garnishments": [],
            "eligible_paid_time_off": [],
            "current_employment_status": None,
            "phone": None,
        }
        if "jobs:read" in asked.credential.scopes:
            shown["jobs"] = [self.job_view(each, asked) for each in self.jobs_of(row["uuid"])]
        return shown

    def job_view(self, row: Document, asked: Asked) -> Document:
        """Show a job; pay only to credentials that may read it."""
        pay = self.compensation_of(row)
        view = {
            **row,
            "rate": pay["rate"],
            "payment_unit": pay["payment_unit"],
            "current_compensation_uuid": pay["uuid"],
            "compensations": [pay],
        }
        if "compensations:read" not in asked.credential.scopes:
            return {name: value for name, value in view.items() if name not in PAY_FIELDS}
        return view

    def onboarding_view(self, row: Document) -> Document:
        """Show how far the onboarding is."""
        state = row["onboarding_status"]
        step = {
            "title": "Personal details",
            "id": "personal_details",
            "required": True,
            "completed": state == "onboarding_completed",
            "requirements": [],
        }
        return {"uuid": row["uuid"], "onboarding_status": state, "onboarding_steps": [step]}


def names_of(row: Document) -> str:
    """Give all names of an employee in lower case, as searches and books use them."""
    parts = (row.get("first_name"), row.get("last_name"), row.get("preferred_first_name"))
    return " ".join(str(part) for part in parts if part).lower()
