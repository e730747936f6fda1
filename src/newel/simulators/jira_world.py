"""What a Jira site is made of: users, groups, products, issues, and how they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .clock import milliseconds
from .core import Simulator
from .quota import RateLimit
from .system import Capacity, Panel, action, ticket_panel
from .wire import Document

SITE = "acme-example"
ADMIN = "newel@acme.example"
PROJECT = "OPS"
ORGANIZATION = "6f1c2f4e-0a51-4a43-9f0b-0d6c1f2a7b11"
CLOUD = "9e3b6d2a-2c7f-4f57-8d61-3a5b7c9d1e20"
PRODUCTS = {
    "jira-software": "jira-software-users-acme-example",
    "jira-servicedesk": "jira-servicedesk-users-acme-example",
    "jira-core": "jira-core-users-acme-example",
    "jira-product-discovery": "jira-product-discovery-users-acme-example",
}
# Permission keys as GET /mypermissions names them, with the names people read.
PERMISSIONS = {
    "USER_PICKER": "Browse users and groups",
    "ADMINISTER": "Administer Jira",
    "SITE_ADMIN": "Site administration",
    "BROWSE_PROJECTS": "Browse projects",
    "CREATE_ISSUES": "Create issues",
    "EDIT_ISSUES": "Edit issues",
    "ADD_COMMENTS": "Add comments",
    "TRANSITION_ISSUES": "Transition issues",
    "LINK_ISSUES": "Link issues",
}
ISSUE_TYPES = {"10001": "Task", "10002": "Bug", "10003": "Story"}
# One simple workflow: id of the status, its name, the key and colour of its category.
STATUSES = {
    "10000": ("To Do", "new", "blue-gray", 2),
    "10010": ("In Progress", "indeterminate", "yellow", 4),
    "10020": ("Done", "done", "green", 3),
}
TRANSITIONS = {"11": ("To Do", "10000"), "21": ("Start work", "10010"), "31": ("Done", "10020")}


class JiraWorld(Simulator):
    """The state of one Jira Cloud site, and what people do there."""

    system = "jira"
    title = "Jira"
    # Atlassian names no number of requests a second; this one is ours.
    rate_limits = (RateLimit(most=20, seconds=1),)

    def __init__(
        self, *, seats: int | None = 50, required: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        """Make it with so many seats a product (None: unlimited).

        required: fields of its own that every issue must have, their names by their ids.
        """
        self._seats = seats
        self.required = dict(required or {})
        super().__init__(**options)

    def populate(self) -> None:
        """Make the site with its administrator, the products' groups and the project OPS."""
        for name in (*PRODUCTS.values(), "site-admins"):
            self.add_group(name)
        admin = self.new_user(ADMIN, display_name="newel", products=[])
        self.store.put(
            "projects",
            PROJECT,
            {"id": "10500", "key": PROJECT, "name": "Operations", "lead": admin["accountId"]},
        )
        token = f"ATATT3x{self.store.opaque('token', 40)}"
        self.grant("newel", f"{ADMIN}:{token}", tuple(PERMISSIONS), subject=admin["accountId"])
        scoped = f"ATSTT3x{self.store.opaque('token', 40)}"
        self.grant("scoped", f"{ADMIN}:{scoped}", tuple(PERMISSIONS), subject=admin["accountId"])
        self.grant("organization", f"ATCTT3x{self.store.opaque('key', 40)}", ("org:admin",))

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give e-mail, tokens, project, address, and the organization's key and address."""
        email, _, token = self._secret("newel").partition(":")
        return {
            "JIRA_EMAIL": email,
            "JIRA_TOKEN": token,
            "JIRA_SCOPED_TOKEN": self._secret("scoped").partition(":")[2],
            "JIRA_CLOUD_ID": CLOUD,
            "ATLASSIAN_ORGANIZATION": ORGANIZATION,
            "ATLASSIAN_KEY": self._secret("organization"),
            "ATLASSIAN_URL": address or "https://api.atlassian.com",
            "JIRA_PROJECT": PROJECT,
            "JIRA_URL": address or f"https://{SITE}.atlassian.net",
        }

    def _secret(self, label: str) -> str:
        return next(iter(self.store.rows("credentials", lambda row: row["label"] == label)))

    def accounts(self) -> list[Document]:
        """List the users of the site."""
        return [
            {
                "id": user["accountId"],
                "handle": user["displayName"],
                "email": user["emailAddress"],
                "state": "active" if user["active"] else "inactive",
                "marker": "",
                "access": sorted(user["products"]),
            }
            for user in self.store.rows("users").values()
        ]

    def tickets(self) -> list[Document]:
        """List all issues: key, summary, status, labels, properties, comments as plain text."""
        comments = self.store.rows("comments").values()
        return [
            {
                "key": issue["key"],
                "summary": issue["fields"]["summary"],
                "status": STATUSES[issue["status"]][0],
                "labels": issue["fields"].get("labels", []),
                "properties": issue["properties"],
                "comments": [
                    plain_text(comment["body"])
                    for comment in comments
                    if comment["issue"] == issue["id"]
                ],
            }
            for issue in self.store.rows("issues").values()
        ]

    def capacity(self) -> list[Capacity]:
        """Count the seats of each product that somebody has."""
        rows = self.store.rows("users").values()
        products = sorted({product for row in rows for product in row["products"]})
        return [
            Capacity(what=f"seats, {each}", used=self.used_seats(each), most=self.seats)
            for each in products
        ]

    def panels(self) -> list[Panel]:
        """Show issues with their comments, and users with their groups."""
        tickets = list(reversed(self.tickets()))
        users = reversed(self.store.rows("users").values())
        comments = reversed(self.store.rows("comments").values())
        return [
            ticket_panel(
                "Issues",
                ("Key", "Summary", "Status", "Labels"),
                tickets,
                lambda t: ", ".join(t["labels"]),
            ),
            Panel(
                title="Comments",
                columns=("Issue", "Text", "Created"),
                rows=[(c["key"], plain_text(c["body"]), c["created"]) for c in comments],
            ),
            Panel(
                title="Users",
                columns=("E-mail", "Name", "State", "Products", "Groups"),
                rows=[
                    (
                        u["emailAddress"],
                        u["displayName"],
                        "active" if u["active"] else "inactive",
                        ", ".join(u["products"]),
                        ", ".join(sorted(g["name"] for g in self.groups_of(u["accountId"]))),
                    )
                    for u in users
                ],
            ),
        ]

    # What people do ----------------------------------------------------------------------------

    @action
    def create_by_hand(self, email: str, products: list[str] | None = None) -> Document:
        """Let an administrator add a user in the browser."""
        return self.new_user(email, display_name=email.partition("@")[0], products=products or [])

    @action
    def resolve_issue(self, key: str) -> None:
        """Let a person move an issue to Done."""
        issue = self.store.first("issues", lambda row: row["key"] == key)
        if issue is None:
            message = f"there is no issue {key}"
            raise ValueError(message)
        self.store.put("issues", issue["id"], {**issue, "status": "10020"})

    @action
    def edit_issue(self, key: str, summary: str) -> None:
        """Let a person rewrite the summary of an issue."""
        issue = self.store.first("issues", lambda row: row["key"] == key)
        if issue is None:
            message = f"there is no issue {key}"
            raise ValueError(message)
        fields = {**issue["fields"], "summary": summary}
        self.store.put("issues", issue["id"], {**issue, "fields": fields})

    @action
    def deactivate_user(self, email: str) -> None:
        """Let an organization administrator deactivate a user: searches no longer find it."""
        user = self.user_by_email(email)
        if user is None:
            message = f"there is no user {email}"
            raise ValueError(message)
        self.store.put("users", user["accountId"], {**user, "active": False})

    @action
    def hide_email(self, email: str) -> None:
        """Let a person hide their address by privacy settings."""
        user = self.user_by_email(email)
        if user is None:
            message = f"there is no user {email}"
            raise ValueError(message)
        self.store.put("users", user["accountId"], {**user, "email_hidden": True})

    @action
    def add_group(self, name: str) -> Document:
        """Make a group."""
        return self.store.put("groups", name, {"groupId": self.store.uuid("group"), "name": name})

    # State -------------------------------------------------------------------------------------

    def new_user(self, email: str, *, display_name: str, products: list[str]) -> Document:
        """Make a user and put it into the groups of its products."""
        identity = f"5{self.store.opaque('account', 7)}:{self.store.uuid('account')}"
        user = {
            "accountId": identity,
            "emailAddress": email,
            "displayName": display_name,
            "active": True,
            "email_hidden": False,
            "products": sorted(products),
        }
        self.store.put("users", identity, user)
        for product in products:
            self.join(PRODUCTS[product], identity)
        return user

    def join(self, group: str, account: str) -> None:
        """Put a user into a group."""
        self.store.put("group_members", f"{group}/{account}", {"group": group, "account": account})

    def user_by_email(self, email: str) -> Document | None:
        """Give the user of an address, active or not."""
        return self.store.first("users", lambda row: row["emailAddress"].lower() == email.lower())

    def used_seats(self, product: str) -> int:
        """Count the active users of a product."""
        return self.store.count("users", lambda row: row["active"] and product in row["products"])

    @property
    def seats(self) -> int | None:
        """Seats bought for each product."""
        return self._seats

    def role_view(self, product: str) -> Document:
        """Show a product as administrators see it."""
        used = self.used_seats(product)
        left = self.seats_left(used=used, seats=self.seats)
        return {
            "key": product,
            "groups": [PRODUCTS[product]],
            "name": product.replace("-", " ").title(),
            "defaultGroups": [PRODUCTS[product]],
            "selectedByDefault": False,
            "defined": True,
            "numberOfSeats": -1 if left is None else used + left,
            "remainingSeats": -1 if left is None else left,
            "userCount": used,
            "userCountDescription": f"{used} users",
            "hasUnlimitedSeats": left is None,
            "platform": False,
        }

    def groups_of(self, account: str) -> list[Document]:
        """List the groups of a user."""
        rows = self.store.rows("group_members", lambda row: row["account"] == account)
        found = (self.store.find("groups", row["group"]) for row in rows.values())
        return [group for group in found if group]

    # Views -------------------------------------------------------------------------------------

    def user_view(self, user: Document, base_url: str) -> Document:
        """Show a user."""
        pictures = {f"{n}x{n}": f"{base_url}/avatars/{n}.png" for n in (16, 24, 32, 48)}
        view = {
            "self": f"{base_url}/rest/api/3/user?accountId={user['accountId']}",
            "accountId": user["accountId"],
            "accountType": "atlassian",
            "emailAddress": user["emailAddress"],
            "avatarUrls": pictures,
            "displayName": user["displayName"],
            "active": user["active"],
            "timeZone": "Europe/Berlin",
            "locale": "en_US",
        }
        if user["email_hidden"]:
            del view["emailAddress"]
        return view

    def author_view(self, account: str, base_url: str) -> Document:
        """Show a user as the author of something, which has fewer fields."""
        user = self.store.find("users", account)
        if user is None:
            return {"accountId": account, "accountType": "atlassian", "active": False}
        view = self.user_view(user, base_url)
        return {name: value for name, value in view.items() if name != "locale"}

    def group_view(self, group: Document, base_url: str) -> Document:
        """Show a group."""
        url = f"{base_url}/rest/api/3/group?groupId={group['groupId']}"
        return {"name": group["name"], "groupId": group["groupId"], "self": url}

    def status_view(self, status: str, base_url: str) -> Document:
        """Show a status with its category."""
        name, category, colour, number = STATUSES[status]
        return {
            "self": f"{base_url}/rest/api/3/status/{status}",
            "description": "",
            "iconUrl": f"{base_url}/images/icons/statuses/generic.png",
            "name": name,
            "id": status,
            "statusCategory": {
                "self": f"{base_url}/rest/api/3/statuscategory/{number}",
                "id": number,
                "key": category,
                "colorName": colour,
                "name": {"new": "To Do", "indeterminate": "In Progress", "done": "Done"}[category],
            },
        }

    def issue_fields(self, issue: Document, base_url: str) -> Document:
        """Give all fields of an issue as Jira shows them."""
        project: Document = self.store.find("projects", issue["project"]) or {}
        kind = issue["issuetype"]
        is_done = STATUSES[issue["status"]][1] == "done"
        return {
            "labels": [],
            "description": None,
            "priority": {"name": "Medium", "id": "3"},
            "duedate": None,
            "assignee": None,
            **issue["fields"],
            "project": {
                "self": f"{base_url}/rest/api/3/project/{project['id']}",
                "id": project["id"],
                "key": project["key"],
                "name": project["name"],
                "projectTypeKey": "software",
            },
            "issuetype": {
                "self": f"{base_url}/rest/api/3/issuetype/{kind}",
                "id": kind,
                "name": ISSUE_TYPES[kind],
                "subtask": False,
            },
            "status": self.status_view(issue["status"], base_url),
            "resolution": {"id": "10000", "name": "Done"} if is_done else None,
            "created": issue["created"],
            "updated": issue["updated"],
            "reporter": self.author_view(issue["reporter"], base_url),
        }

    def comment_view(self, comment: Document, base_url: str) -> Document:
        """Show a comment, without its properties: that the vendor lists them is not promised."""
        author = self.author_view(comment["author"], base_url)
        return {
            "self": f"{base_url}/rest/api/3/issue/{comment['issue']}/comment/{comment['id']}",
            "id": comment["id"],
            "author": author,
            "body": comment["body"],
            "updateAuthor": author,
            "created": comment["created"],
            "updated": comment["created"],
            "jsdPublic": True,
        }

    def moment(self) -> str:
        """Give the present moment as Jira writes it: 2026-01-05T09:00:00.000+0000."""
        return milliseconds(self.clock.now()).replace("Z", "+0000")


def plain_text(document: Any) -> str:
    """Give the text of an Atlassian document, its blocks joined by a space."""
    if isinstance(document, list):
        return " ".join(text for text in map(plain_text, document) if text)
    if not isinstance(document, dict):
        return ""
    return str(document.get("text") or plain_text(document.get("content", [])))
