"""Jira Cloud: users, groups and permissions; the routes about issues are in `jira_issues`.

The contract is Atlassian's OpenAPI document (`tests/contract/specs/jira.openapi.json`) and the
connectors document, §13. Its trap is kept: whoever may not browse users or projects is answered 200
with an empty list. Views that can lag: `jira.search`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from .clock import stamp
from .faults import Throttle
from .jira_issues import OLD_API, SETTABLE, JiraIssues
from .jira_world import PERMISSIONS, PRODUCTS
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

API = "/rest/api/3"
NEAR = 0.8  # developer.atlassian.com/cloud/jira/platform/rate-limiting
# The organization's addresses, which take its own key.
ABOVE = ("/admin/", "/users/")
# What clients ask of the version before.
OLD = {
    "getServerInfo",
    "getFields",
    "getProject",
    "createIssue",
    "getIssue",
    "editIssue",
    "searchAndReconsileIssuesUsingJql",
    "searchAndReconsileIssuesUsingJqlPost",
    "addComment",
    "getComments",
    "getTransitions",
    "doTransition",
}


class JiraSimulator(JiraIssues):
    """One Jira Cloud site; see the module's text."""

    # How Jira refuses --------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the credential: e-mail and API token for the site, a bearer key above it.

        A token with scopes opens nothing at the site's own address, only at the gateway's.
        """
        kind, _, encoded = asked.headers.get("authorization", "").partition(" ")
        is_above = asked.path.startswith(ABOVE)
        secret = encoded if kind.lower() == "bearer" and is_above else ""
        if kind.lower() == "basic" and not is_above:
            try:
                secret = b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                secret = ""
        found = self.known_credential(secret)
        if found is None or (found.label == "scoped" and "cloud" not in asked.params):
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403, above the site in the organization's own envelope."""
        del asked, missing
        if route.template.startswith(ABOVE):
            text = "The API key has no permission to do this."
            problem = {"code": "ADMIN-403-1", "title": "Forbidden", "detail": text}
            return Answer(403, {"errors": [problem]})
        return self.problem(403, "You do not have the permission to do this.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give Jira's envelope for a status."""
        del asked
        texts = {
            "400": "There was an error parsing JSON. Check that your request body is valid.",
            "401": "Client must be authenticated to access this resource.",
            "404": "The resource was not found or you do not have permission to see it.",
            "409": "The issue was updated by somebody else at the same time.",
            "413": "The limit of this issue has been reached.",
            "503": "Jira is temporarily unavailable.",
        }
        status = int(code) if code.isdigit() else 400
        answer = self.problem(status, texts.get(code, code))
        if status == 401:
            headers = {
                "WWW-Authenticate": 'OAuth realm="https%3A%2F%2Facme-example.atlassian.net"',
                "X-Seraph-LoginReason": "AUTHENTICATED_FAILED",
            }
            return answer.with_headers(headers)
        return answer

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429 with the vendor's headers; `style` becomes the reason."""
        del asked
        wait = effect.retry_after
        reset = self.clock.now() + timedelta(seconds=wait or 60)
        headers = {
            "X-RateLimit-Limit": "100",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": stamp(reset),
            "X-RateLimit-NearLimit": "true",
            "RateLimit-Reason": effect.style or "jira-burst-based",
        }
        if wait is not None:
            headers["Retry-After"] = str(wait)
        return self.problem(429, "Rate limit exceeded.").with_headers(headers)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add the request's id, and that less than a fifth of a limit is left."""
        headers = {"Atl-Traceid": f"{self.seed:08x}{sequence:024x}"}
        if self.spent(asked) > NEAR:
            headers["X-RateLimit-NearLimit"] = "true"
        return answer.with_headers(headers)

    @route("GET", API + "/serverInfo", operation="getServerInfo", open=True)
    def server_info(self, asked: Asked) -> Answer:
        """Say which Jira this is; everybody may ask."""
        info = {
            "baseUrl": asked.base_url,
            "version": "1001.0.0-SNAPSHOT",
            "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud",
            "buildNumber": 100_250,
            "serverTitle": "Jira",
        }
        return Answer(200, info)

    @route("GET", API + "/field", operation="getFields")
    def fields(self, asked: Asked) -> Answer:
        """List the fields of issues."""
        del asked
        return Answer(
            200,
            [
                {
                    "id": name,
                    "key": name,
                    "name": name.capitalize(),
                    "custom": False,
                    "orderable": True,
                    "navigable": True,
                    "searchable": True,
                    "clauseNames": [name],
                }
                for name in sorted(SETTABLE)
            ],
        )

    # Who am I ----------------------------------------------------------------------------------

    @route("GET", API + "/myself", operation="getCurrentUser")
    def myself(self, asked: Asked) -> Answer:
        """Show the account the credential belongs to."""
        user = self.store.find("users", asked.credential.subject)
        assert user is not None
        return Answer(200, self.user_view(user, asked.base_url))

    @route("GET", API + "/mypermissions", operation="getMyPermissions")
    def my_permissions(self, asked: Asked) -> Answer:
        """Say which of the asked permissions the credential has."""
        wanted = [key for key in asked.query.get("permissions", "").split(",") if key]
        if not wanted:
            raise Refused(self.problem(400, "The 'permissions' query parameter is required."))
        known = [key for key in PERMISSIONS if key != "SITE_ADMIN"]
        unknown = [key for key in wanted if key not in known]
        if unknown:
            raise Refused(self.problem(400, f"Unrecognized permission: {', '.join(unknown)}"))
        project = asked.query.get("projectKey")
        if project and self.store.find("projects", project) is None:
            raise Refused(self.problem(404, f"No project could be found with key '{project}'."))
        return Answer(200, {"permissions": {key: self._permission(key, asked) for key in wanted}})

    def _permission(self, key: str, asked: Asked) -> Document:
        is_global = key in ("USER_PICKER", "ADMINISTER")
        return {
            "id": str(list(PERMISSIONS).index(key)),
            "key": key,
            "name": PERMISSIONS[key],
            "type": "GLOBAL" if is_global else "PROJECT",
            "description": "",
            "havePermission": key in asked.credential.scopes,
        }

    # Users -------------------------------------------------------------------------------------

    @route(
        "GET", API + "/applicationrole", operation="getAllApplicationRoles", needs=("ADMINISTER",)
    )
    def application_roles(self, asked: Asked) -> Answer:
        """List the products with their seats."""
        del asked
        return Answer(200, [self.role_view(product) for product in PRODUCTS])

    @route("GET", API + "/user/search", operation="findUsers")
    def find_users(self, asked: Asked) -> Answer:
        """Find active users by the beginning of name or address; without permission: nobody."""
        query, account = asked.query.get("query"), asked.query.get("accountId")
        if query is None and account is None and "property" not in asked.query:
            raise Refused(self.problem(400, "Give at least one of query, accountId, property."))
        if "USER_PICKER" not in asked.credential.scopes:
            return Answer(200, [])
        words = (query or "").lower()
        rows = self.store.rows(
            "users",
            lambda row: (
                row["active"] and (row["accountId"] == account if account else _begins(row, words))
            ),
        )
        start = int(asked.query.get("startAt", "0"))
        size = self.page(int(asked.query.get("maxResults", "50")), largest=1000)
        found = [self.user_view(row, asked.base_url) for row in rows.values()]
        return Answer(200, found[start : start + size])

    @route("GET", API + "/users/search", operation="getAllUsers", needs=("USER_PICKER",))
    def all_users(self, asked: Asked) -> Answer:
        """List all users, active or not."""
        start = int(asked.query.get("startAt", "0"))
        size = self.page(int(asked.query.get("maxResults", "50")), largest=1000)
        rows = list(self.store.rows("users").values())[start : start + size]
        return Answer(200, [self.user_view(row, asked.base_url) for row in rows])

    @route("GET", API + "/user", operation="getUser", needs=("USER_PICKER",))
    def get_user(self, asked: Asked) -> Answer:
        """Show one user."""
        return Answer(200, self.user_view(self._user(asked), asked.base_url))

    @route("POST", API + "/user", operation="createUser", needs=("ADMINISTER",))
    def create_user(self, asked: Asked) -> Answer:
        """Invite a user with products; one who has them already is answered as created."""
        wanted = asked.json()
        email, products = wanted.get("emailAddress"), wanted.get("products")
        asked.concerns(f"account/{str(email).lower()}")
        if not isinstance(email, str) or "@" not in email:
            raise Refused(self.problem(400, emailAddress="You must specify a valid email address."))
        if not isinstance(products, list):
            raise Refused(self.problem(400, products="You must specify products; [] for none."))
        if unknown := [product for product in products if product not in PRODUCTS]:
            raise Refused(self.problem(400, products=f"Unknown products: {', '.join(unknown)}"))
        found = self.user_by_email(email)
        if found is not None:
            if not set(products) <= set(found["products"]):
                text = "A user with this email already exists, without access to these products."
                raise Refused(self.problem(400, emailAddress=text))
            return Answer(201, self.user_view(found, asked.base_url))
        for product in products:
            if not self.take_seat(used=self.used_seats(product), seats=self.seats):
                text = "Cannot add user: the license user limit of your site has been exceeded."
                raise Refused(self.problem(400, text))
        name = wanted.get("displayName") or email.partition("@")[0]
        user = self.new_user(email, display_name=name, products=products)
        return Answer(201, self.user_view(user, asked.base_url))

    @route("DELETE", API + "/user", operation="removeUser", needs=("SITE_ADMIN",))
    def remove_user(self, asked: Asked) -> Answer:
        """Remove a user from the site."""
        user = self._user(asked)
        asked.concerns(f"account/{user['emailAddress'].lower()}")
        self.store.remove("users", user["accountId"])
        for key in self.store.rows("group_members", lambda r: r["account"] == user["accountId"]):
            self.store.remove("group_members", key)
        return Answer(204)

    @route("GET", API + "/user/groups", operation="getUserGroups", needs=("USER_PICKER",))
    def user_groups(self, asked: Asked) -> Answer:
        """List the groups of a user."""
        groups = self.groups_of(self._user(asked)["accountId"])
        return Answer(200, [self.group_view(group, asked.base_url) for group in groups])

    # Groups ------------------------------------------------------------------------------------

    @route("GET", API + "/group/bulk", operation="bulkGetGroups", needs=("USER_PICKER",))
    def groups(self, asked: Asked) -> Answer:
        """List groups, by name or id if asked."""
        name, identity = asked.query.get("groupName"), asked.query.get("groupId")
        rows = self.store.rows(
            "groups",
            lambda row: (
                (not name or row["name"] == name) and (not identity or row["groupId"] == identity)
            ),
        )
        return self._listed(
            asked, [{"name": r["name"], "groupId": r["groupId"]} for r in rows.values()]
        )

    @route("GET", API + "/group/member", operation="getUsersFromGroup", needs=("USER_PICKER",))
    def group_members(self, asked: Asked) -> Answer:
        """List the members of a group."""
        group = self._group(asked)
        rows = self.store.rows("group_members", lambda row: row["group"] == group["name"])
        views = [self.author_view(row["account"], asked.base_url) for row in rows.values()]
        with_inactive = asked.query.get("includeInactiveUsers") == "true"
        return self._listed(asked, [view for view in views if view["active"] or with_inactive])

    @route("POST", API + "/group/user", operation="addUserToGroup", needs=("SITE_ADMIN",))
    def join_group(self, asked: Asked) -> Answer:
        """Put a user into a group; one who is in it already is refused with 400."""
        group = self._group(asked)
        account = asked.json().get("accountId")
        user = self.store.find("users", str(account))
        if user is None:
            raise Refused(self.problem(404, f"The user with account ID {account} does not exist."))
        asked.concerns(f"group/{group['name']}/{user['emailAddress'].lower()}")
        if self.store.find("group_members", f"{group['name']}/{account}"):
            text = f"Cannot add user. User is already a member of '{group['name']}'."
            raise Refused(self.problem(400, text))
        self.join(group["name"], user["accountId"])
        self._follow_product(group["name"], user, has=True)
        return Answer(201, self.group_view(group, asked.base_url))

    @route("DELETE", API + "/group/user", operation="removeUserFromGroup", needs=("SITE_ADMIN",))
    def leave_group(self, asked: Asked) -> Answer:
        """Take a user out of a group; one who is not in it is refused with 400."""
        group, user = self._group(asked), self._user(asked)
        asked.concerns(f"group/{group['name']}/{user['emailAddress'].lower()}")
        if not self.store.remove("group_members", f"{group['name']}/{user['accountId']}"):
            text = f"Cannot remove user. User is not a member of '{group['name']}'."
            raise Refused(self.problem(400, text))
        self._follow_product(group["name"], user, has=False)
        return Answer(200)

    def _follow_product(self, group: str, user: Document, *, has: bool) -> None:
        """Give or take the product whose group this is."""
        product = next((name for name, its in PRODUCTS.items() if its == group), None)
        if product:
            rest = {each for each in user["products"] if each != product}
            products = sorted(rest | {product} if has else rest)
            self.store.put("users", user["accountId"], {**user, "products": products})

    # Reading a request -------------------------------------------------------------------------

    def _user(self, asked: Asked) -> Document:
        account = asked.query.get("accountId")
        if not account:
            raise Refused(self.problem(400, "The accountId query parameter is required."))
        found = self.store.find("users", account)
        if found is None:
            raise Refused(self.problem(404, f"The user with account ID {account} does not exist."))
        return found

    def _group(self, asked: Asked) -> Document:
        name, identity = asked.query.get("groupname"), asked.query.get("groupId")
        if not name and not identity:
            raise Refused(self.problem(400, "Give groupId or groupname."))
        found = self.store.first(
            "groups", lambda row: row["groupId"] == identity if identity else row["name"] == name
        )
        if found is None:
            raise Refused(self.problem(404, f"The group '{identity or name}' does not exist."))
        return found

    def _listed(self, asked: Asked, rows: list[Document]) -> Answer:
        """Give one page of a listing with `startAt`, `total` and `isLast`."""
        start = int(asked.query.get("startAt", "0"))
        size = self.page(int(asked.query.get("maxResults", "50")), largest=50)
        chosen = rows[start : start + size]
        page = {
            "self": f"{asked.base_url}{asked.path}?startAt={start}&maxResults={size}",
            "maxResults": size,
            "startAt": start,
            "total": len(rows),
            "isLast": start + size >= len(rows),
            "values": chosen,
        }
        return Answer(200, page)


def _begins(row: Document, words: str) -> bool:
    """Say whether name or address begins with the words; a hidden address is still searched."""
    names = (*row["displayName"].lower().split(), row["displayName"].lower())
    return row["emailAddress"].lower().startswith(words) or any(n.startswith(words) for n in names)


def _also_at() -> Iterator[Route]:
    """Give the other addresses of routes: the gateway's, and the version that clients still use."""
    for each in JiraSimulator.routes:
        if each.template.startswith(API):
            yield replace(each, template="/ex/jira/{cloud}" + each.template)
        if each.operation in OLD:
            yield replace(each, template=each.template.replace(API + "/", OLD_API))


JiraSimulator.routes = (*JiraSimulator.routes, *_also_at())
