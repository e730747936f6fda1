"""What a Google Workspace customer is made of: users, a service account, and how they are shown."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import md5
from typing import Any

from .clock import milliseconds
from .core import Simulator
from .quota import RateLimit
from .signing import private_pem
from .system import Capacity, Panel, action
from .wire import Document

SCOPE = "https://www.googleapis.com/auth/"
USER_SCOPE = SCOPE + "admin.directory.user"
DELEGATED = (
    USER_SCOPE,
    USER_SCOPE + ".readonly",
    USER_SCOPE + ".security",
    SCOPE + "admin.directory.group.member",
    SCOPE + "admin.directory.group.readonly",
    SCOPE + "admin.directory.orgunit.readonly",
    SCOPE + "admin.datatransfer",
    SCOPE + "apps.licensing",
)
TOKEN_URI = "https://oauth2.googleapis.com/token"
ADMIN = "admin@acme.example"
DOMAIN = "acme.example"
CUSTOMER = "C01acme7x"


class GoogleWorld(Simulator):
    """The state of one customer, and what people do there."""

    system = "google"
    title = "Google Workspace"
    # developers.google.com/admin-sdk/directory/v1/limits
    rate_limits = (RateLimit(most=2400, seconds=60),)

    def __init__(self, *, licences: int | None = 50, **options: Any) -> None:
        """Make it with so many licences (None: unlimited), of users and of each product."""
        self.seats = licences
        super().__init__(**options)

    def populate(self) -> None:
        """Make the customer with its administrator and a service account with delegation."""
        service: Document = {
            "client_email": "newel@acme-newel.iam.gserviceaccount.com",
            "private_key_id": self.store.opaque("key", 40),
            "client_id": "104200000000000000042",
            "scopes": list(DELEGATED),
        }
        self.store.put("service_accounts", service["client_email"], service)
        admin = {
            "primaryEmail": ADMIN,
            "name": {"givenName": "Acme", "familyName": "Administrator"},
            "isAdmin": True,
        }
        self.insert_user(admin)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give the service account's key file, the administrator to act for, and addresses."""
        service: Document = next(iter(self.store.rows("service_accounts").values()))
        token_uri = f"{address}/token" if address else TOKEN_URI
        key_file = {
            "type": "service_account",
            "project_id": "acme-newel",
            "private_key_id": service["private_key_id"],
            "private_key": private_pem(self.seed),
            "client_email": service["client_email"],
            "client_id": service["client_id"],
            "token_uri": token_uri,
        }
        return {
            "GOOGLE_SERVICE_ACCOUNT": json.dumps(key_file),
            "GOOGLE_ADMIN": ADMIN,
            "GOOGLE_CUSTOMER": CUSTOMER,
            "GOOGLE_DOMAIN": DOMAIN,
            "GOOGLE_URL": address or "https://admin.googleapis.com",
            "GOOGLE_LICENSING_URL": address or "https://licensing.googleapis.com",
            "GOOGLE_TOKEN_URL": token_uri,
        }

    def accounts(self) -> list[Document]:
        """List the users."""
        return [
            {
                "id": user["id"],
                "handle": user["primaryEmail"],
                "email": user["primaryEmail"],
                "state": "suspended" if user["suspended"] else "active",
                "marker": marker_of(user),
                "access": [],
            }
            for user in self.store.rows("users").values()
        ]

    def capacity(self) -> list[Capacity]:
        """Count the licences that users take."""
        return [Capacity(what="licences", used=self.store.count("users"), most=self.seats)]

    def panels(self) -> list[Panel]:
        """Show the users."""
        users = reversed(self.store.rows("users").values())
        rows = [
            (
                u["primaryEmail"],
                u["name"]["fullName"],
                "suspended" if u["suspended"] else "active",
                marker_of(u),
                u["creationTime"],
            )
            for u in users
        ]
        columns = ("Address", "Name", "State", "Marker", "Created")
        return [Panel(title="Users", columns=columns, rows=rows)]

    # What people do ------------------------------------------------------------------------------

    @action
    def create_by_hand(self, email: str, given_name: str = "By", family_name: str = "Hand") -> str:
        """Let an administrator add a user in the browser, without a marker."""
        name = {"givenName": given_name, "familyName": family_name}
        return str(self.insert_user({"primaryEmail": email.lower(), "name": name})["id"])

    @action
    def undelegate(self, scope: str) -> None:
        """Let an administrator take a scope from the service account's delegation."""
        for key, service in self.store.rows("service_accounts").items():
            kept = [each for each in service["scopes"] if each != scope]
            self.store.put("service_accounts", key, {**service, "scopes": kept})

    # State ---------------------------------------------------------------------------------------

    def find_user(self, key: str, *, lagging: bool = False) -> Document | None:
        """Give the user of an address or id, as reads that may lag see it, or None."""
        lag = self.lag("google.user") if lagging else timedelta(0)
        key = key.lower()
        return self.store.first("users", lambda u: key in (u["id"], u["primaryEmail"]), lag=lag)

    def insert_user(self, wanted: Document) -> Document:
        """Make a user; the password is forgotten at once."""
        identity = str(10**20 + int(self.store.opaque("user", 15), 16))
        user = {
            "suspended": False,
            "isAdmin": False,
            "orgUnitPath": "/",
            "changePasswordAtNextLogin": False,
            **{name: value for name, value in wanted.items() if name != "password"},
            "id": identity,
            "name": full_name(wanted["name"]),
            "creationTime": milliseconds(self.clock.now()),
            "lastLoginTime": "1970-01-01T00:00:00.000Z",
        }
        return self.store.put("users", identity, user)

    def user_view(self, user: Document) -> Document:
        """Show a user with what the vendor adds; never a password."""
        shown = {name: value for name, value in user.items() if name != "passwordNumber"}
        return {
            "kind": "admin#directory#user",
            "etag": etag_of(user),
            **shown,
            "isDelegatedAdmin": False,
            "agreedToTerms": True,
            "archived": user.get("archived", False),
            "emails": [{"address": user["primaryEmail"], "primary": True}],
            "customerId": CUSTOMER,
            "isMailboxSetup": True,
            "includeInGlobalAddressList": user.get("includeInGlobalAddressList", True),
        }


def marker_of(user: Document) -> str:
    """Give the value of the external id of type "organization", or an empty text."""
    for each in user.get("externalIds") or []:
        if each.get("type") == "organization":
            return str(each.get("value", ""))
    return ""


def full_name(name: Document) -> Document:
    """Give the name with its full form."""
    given, family = name["givenName"], name["familyName"]
    return {"givenName": given, "familyName": family, "fullName": f"{given} {family}"}


def etag_of(value: object) -> str:
    """Give an entity tag that follows from the contents."""
    digest = md5(json.dumps(value, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return f'"{digest}"'
