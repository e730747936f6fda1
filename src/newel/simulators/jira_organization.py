"""The organization above a Jira site: it locks people out of all its sites and lets them in again.

There is no copied specification; it answers as https://developer.atlassian.com/cloud/admin says.
Its key is a bearer token of its own; the site's API token is refused here, and the key there.
A locked user keeps groups, uses no licence, and is not found by Jira's search.
"""

from __future__ import annotations

from .jira_world import ORGANIZATION, SITE, JiraWorld
from .wire import Answer, Asked, Document, Refused, route

ORG = "/admin/v1/orgs/{org}"
USER = ORG + "/directory/users/{account}"
LIFE = "/users/{account}/manage"
NEEDS = ("org:admin",)


class JiraOrganization(JiraWorld):
    """The routes of the organization."""

    @route("GET", ORG, operation="getOrgById", needs=NEEDS)
    def organization(self, asked: Asked) -> Answer:
        """Show the organization."""
        self._the_organization(asked)
        return Answer(
            200,
            {
                "data": {
                    "id": ORGANIZATION,
                    "type": "orgs",
                    "attributes": {"name": SITE},
                    "links": {"self": f"{asked.base_url}/admin/v1/orgs/{ORGANIZATION}"},
                }
            },
        )

    @route(
        "GET",
        "/admin/v2/orgs/{org}/directories/{directory}/users",
        operation="getDirectoryUsers",
        needs=NEEDS,
    )
    def directory_users(self, asked: Asked) -> Answer:
        """List users, by account id if asked."""
        self._the_organization(asked)
        wanted = asked.query.get("accountIds")
        rows = self.store.rows("users", lambda row: wanted in (None, row["accountId"])).values()
        start = int(asked.query.get("cursor", "0"))
        size = self.page(int(asked.query.get("limit", "100")), largest=100)
        chosen = list(rows)[start : start + size]
        links = {"self": str(start)}
        if start + size < len(rows):
            links["next"] = str(start + size)
        return Answer(200, {"data": [_shown(row) for row in chosen], "links": links})

    @route("POST", USER + "/suspend-access", operation="suspendUser", needs=NEEDS)
    def suspend(self, asked: Asked) -> Answer:
        """Lock a user out; repeating it changes nothing."""
        self._the_organization(asked)
        self._switch(asked, is_active=False)
        return Answer(200, {"message": f"Access to organization {ORGANIZATION} is suspended."})

    @route("POST", USER + "/restore-access", operation="restoreUser", needs=NEEDS)
    def restore(self, asked: Asked) -> Answer:
        """Let a user in again; repeating it changes nothing."""
        self._the_organization(asked)
        self._switch(asked, is_active=True)
        return Answer(200, {"message": f"Access to organization {ORGANIZATION} is restored."})

    @route("GET", LIFE + "/profile", operation="getManagedProfile", needs=NEEDS)
    def profile(self, asked: Asked) -> Answer:
        """Show a managed account."""
        row = self._managed(asked)
        status = "active" if row["active"] else "inactive"
        account = {
            "account_id": row["accountId"],
            "name": row["displayName"],
            "email": row["emailAddress"],
            "account_type": "atlassian",
            "account_status": status,
        }
        return Answer(200, {"account": account})

    @route("POST", LIFE + "/lifecycle/disable", operation="disableUser", needs=NEEDS)
    def disable(self, asked: Asked) -> Answer:
        """Disable a managed account."""
        self._managed(asked)
        self._switch(asked, is_active=False)
        return Answer(204)

    @route("POST", LIFE + "/lifecycle/enable", operation="enableUser", needs=NEEDS)
    def enable(self, asked: Asked) -> Answer:
        """Enable a managed account."""
        self._managed(asked)
        self._switch(asked, is_active=True)
        return Answer(204)

    def _the_organization(self, asked: Asked) -> None:
        if asked.params["org"] != ORGANIZATION:
            raise Refused(_problem(404, "ADMIN-404-1", "Organization not found"))

    def _managed(self, asked: Asked) -> Document:
        row = self.store.find("users", asked.params["account"])
        if row is None:
            key = "user-management.account-not-found"
            raise Refused(Answer(404, {"errorKey": key, "errorDetail": "There is no such account"}))
        return row

    def _switch(self, asked: Asked, *, is_active: bool) -> None:
        row = self.store.find("users", asked.params["account"])
        if row is None:
            raise Refused(_problem(404, "ADMIN-404-2", "User not found"))
        asked.concerns(f"access/{row['emailAddress'].lower()}")
        if row["active"] != is_active:
            self.store.put("users", row["accountId"], {**row, "active": is_active})


def _shown(row: Document) -> Document:
    status = "active" if row["active"] else "suspended"
    return {
        "accountId": row["accountId"],
        "accountType": "atlassian",
        "status": status,
        "accountStatus": "active",
        "membershipStatus": status,
        "name": row["displayName"],
        "email": row["emailAddress"],
        "claimStatus": "managed",
        "platformRoles": [],
    }


def _problem(status: int, code: str, title: str) -> Answer:
    return Answer(status, {"errors": [{"code": code, "title": title, "detail": title}]})
