"""What a Salesforce organization is made of: users with logins, profiles, permission sets."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Any

from .clock import milliseconds
from .core import Simulator
from .quota import RateLimit
from .signing import private_pem
from .system import Capacity, Panel, action
from .wire import Document

LOGIN_HOSTS = ("https://login.salesforce.com", "https://test.salesforce.com")
CLIENT_ID = "3MVG9acmeExampleNewelConsumerKey"
USERNAME = "newel@acme.example"
# An edition with a hundred thousand requests a day.
DAILY_LIMIT = 100_000
MARKER_FIELD = "Newel_Id__c"
PROFILE = "Sales User"
PERMISSION_SET = "Sales_Console"
# The first letters of an object's ids.
PREFIX = {
    "User": "005",
    "Profile": "00e",
    "PermissionSet": "0PS",
    "PermissionSetAssignment": "0Pa",
    "UserLogin": "0Yw",
}
_LOCALE = {
    "TimeZoneSidKey": "Europe/Berlin",
    "LocaleSidKey": "en_US",
    "EmailEncodingKey": "UTF-8",
    "LanguageLocaleKey": "en_US",
}


class SalesforceWorld(Simulator):
    """The state of one organization, and what people do there."""

    system = "salesforce"
    title = "Salesforce"
    rate_limits = (RateLimit(most=DAILY_LIMIT, seconds=86_400),)

    def __init__(
        self, *, licences: int | None = 50, requests: int = DAILY_LIMIT, **options: Any
    ) -> None:
        """Make it with so many user licences (None: unlimited), and requests in any 24 hours."""
        self._licences = licences
        self.requests = requests
        self._asked: deque[datetime] = deque()
        super().__init__(**options)

    def count_request(self) -> bool:
        """Count a request; False, and not counted, if the day's are used up."""
        now = self.clock.now()
        while self._asked and self._asked[0] <= now - timedelta(hours=24):
            self._asked.popleft()
        if len(self._asked) >= self.requests:
            return False
        self._asked.append(now)
        return True

    @property
    def requests_used(self) -> int:
        """How many requests of the last 24 hours count."""
        return len(self._asked)

    def populate(self) -> None:
        """Make the organization with its integration user, a profile and a permission set."""
        profile = self.new("Profile", {"Name": PROFILE, "UserType": "Standard"})
        self.new("Profile", {"Name": "System Administrator", "UserType": "Standard"})
        permission_set = {
            "Name": PERMISSION_SET,
            "Label": "Sales Console",
            "IsOwnedByProfile": False,
        }
        self.new("PermissionSet", permission_set)
        self.new_user(
            {
                "Username": USERNAME,
                "LastName": "Integration",
                "Email": USERNAME,
                "Alias": "newel",
                "ProfileId": profile["Id"],
                **_LOCALE,
            }
        )

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give key, consumer key, user, profile, permission set, marker field and address."""
        profile = self.store.first("Profile", lambda row: row["Name"] == PROFILE)
        assert profile is not None
        return {
            "SALESFORCE_KEY": private_pem(self.seed),
            "SALESFORCE_CLIENT_ID": CLIENT_ID,
            "SALESFORCE_USERNAME": USERNAME,
            "SALESFORCE_PROFILE_ID": profile["Id"],
            "SALESFORCE_PROFILE": PROFILE,
            "SALESFORCE_PERMISSION_SET": PERMISSION_SET,
            "SALESFORCE_MARKER_FIELD": MARKER_FIELD,
            "SALESFORCE_URL": address or LOGIN_HOSTS[0],
        }

    def accounts(self) -> list[Document]:
        """List the users."""
        return [
            {
                "id": user["Id"],
                "handle": user["Username"],
                "email": user["Email"],
                "state": self._state(user),
                "marker": user.get(MARKER_FIELD) or user.get("FederationIdentifier") or "",
                "access": self.sets_of(user),
            }
            for user in self.store.rows("User").values()
        ]

    def capacity(self) -> list[Capacity]:
        """Count the licences that active users take."""
        used = self.store.count("User", lambda row: row["IsActive"])
        return [Capacity(what="licences", used=used, most=self._licences)]

    def panels(self) -> list[Panel]:
        """Show the users with their permission sets."""
        rows = [
            (a["handle"], a["state"], a["marker"], ", ".join(a["access"]))
            for a in reversed(self.accounts())
        ]
        columns = ("Username", "State", "Marker", "Permission sets")
        return [Panel(title="Users", columns=columns, rows=rows)]

    def _state(self, user: Document) -> str:
        login = self.store.first("UserLogin", lambda row: row["UserId"] == user["Id"])
        if not user["IsActive"]:
            return "inactive"
        return "frozen" if login and login["IsFrozen"] else "active"

    def sets_of(self, user: Document) -> list[str]:
        """List the names of a user's permission sets."""
        rows = self.store.rows("PermissionSetAssignment", lambda r: r["AssigneeId"] == user["Id"])
        names = (self.store.find("PermissionSet", row["PermissionSetId"]) for row in rows.values())
        return sorted(found["Name"] for found in names if found)

    # What people do ------------------------------------------------------------------------------

    @action
    def create_by_hand(self, email: str, last_name: str = "Hand") -> str:
        """Let an administrator add a user in the browser, without a marker."""
        profile = self.store.first("Profile", lambda row: row["Name"] == PROFILE)
        assert profile is not None
        user = {
            "Username": email,
            "Email": email,
            "LastName": last_name,
            "Alias": email[:8],
            "ProfileId": profile["Id"],
            **_LOCALE,
        }
        return str(self.new_user(user)["Id"])

    @action
    def take_username_elsewhere(self, username: str) -> None:
        """Let another organization own a username: it is unique across all of Salesforce."""
        self.store.put("elsewhere", username.lower(), {"Username": username})

    @action
    def make_default_owner(self, username: str) -> None:
        """Make a user something that cannot be deactivated."""
        user = self.by_username(username)
        if user is None:
            message = f"there is no user {username}"
            raise ValueError(message)
        self.store.put("blocked", user["Id"], {"reason": "default lead owner"})

    # State ---------------------------------------------------------------------------------------

    def by_username(self, username: str) -> Document | None:
        """Give the user of a username, which has no case."""
        wanted = username.lower()
        return self.store.first("User", lambda row: row["Username"].lower() == wanted)

    def new(self, kind: str, fields: Document) -> Document:
        """Make a record of this object with the next id."""
        identity = f"{PREFIX[kind]}5e{self.store.number(kind):010d}AAA"
        return self.store.put(kind, identity, {**fields, "Id": identity})

    def new_user(self, fields: Document) -> Document:
        """Make a user with the login that belongs to it."""
        created = {"CreatedDate": milliseconds(self.clock.now()).replace("Z", "+0000")}
        own = {"Name": full_name(fields), "UserType": "Standard", **created}
        user = self.new("User", {"IsActive": True, **fields, **own})
        login = {"UserId": user["Id"], "IsFrozen": False, "IsPasswordLocked": False}
        self.new("UserLogin", login)
        return user


def full_name(user: Document) -> str:
    """Give first and last name as one."""
    return " ".join(part for part in (user.get("FirstName"), user["LastName"]) if part)
