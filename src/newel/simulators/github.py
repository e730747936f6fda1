"""GitHub: organization membership, invitations, teams, repository access, seats.

The contract is the vendor's OpenAPI document (`tests/contract/specs/github.openapi.json`) and the
connectors document, §14. Here are the routes; what the organization is made of and how it is shown
is in `github_world`. Views that can lag: `github.invitations`.
Any well-formed login exists: a typo invites a stranger, as it does at GitHub.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from . import github_views as views
from .faults import Throttle
from .github_world import GitHubWorld
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

DOCUMENTATION = "https://docs.github.com/rest"
READ = "members:read|members:write"
WRITE = "members:write"
REPOSITORY = "administration:write"
ORG = "/orgs/{org}"
MEMBERSHIP = ORG + "/memberships/{username}"
TEAM_MEMBERSHIP = ORG + "/teams/{slug}/memberships/{username}"
COLLABORATOR = "/repos/{owner}/{repo}/collaborators/{username}"
ROLES = {"admin", "member"}
PERMISSIONS = {"pull", "triage", "push", "maintain", "admin"}


class GitHubSimulator(GitHubWorld):
    """GitHub with one organization; see the module's text."""

    # GitHub's primary limit counts requests per credential and hour.
    hourly_limit: ClassVar[int] = 5000

    # How GitHub refuses ------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the bearer token; anything else is bad credentials."""
        if not asked.headers.get("user-agent"):
            text = "Request forbidden by administrative rules. Please add a User-Agent header."
            raise Refused(Answer(403, text, media_type="text/plain"))
        kind, _, secret = asked.headers.get("authorization", "").partition(" ")
        if not kind:
            raise Refused(self._message(401, "Requires authentication"))
        found = self.known_credential(secret) if kind.lower() in ("bearer", "token") else None
        if found is None:
            raise Refused(self.error("401", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse with 403 and the header that names the permission."""
        del asked, route
        accepted = ", ".join(need.split("|")[0].replace(":", "=") for need in missing)
        text = "Resource not accessible by personal access token"
        return self._message(403, text).with_headers({"X-Accepted-GitHub-Permissions": accepted})

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give GitHub's envelope for a status."""
        del asked
        texts = {
            "400": "Problems parsing JSON",
            "401": "Bad credentials",
            "403": "Resource not accessible by personal access token",
            "404": "Not Found",
            "422": "Validation Failed",
            "500": "Server Error",
            "502": "Server Error",
            "503": "Service unavailable",
        }
        status = int(code) if code.isdigit() else 422
        return self._message(status, texts.get(code, code))

    def _message(self, status: int, text: str, **more: object) -> Answer:
        body = {"message": text, **more, "documentation_url": DOCUMENTATION, "status": str(status)}
        return Answer(status, body)

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Refuse as limited; styles: "" secondary limit 403, "429", "primary" (403, none left)."""
        del asked
        if effect.style == "primary":
            reset = int(self.clock.now().timestamp()) + (effect.retry_after or 3600)
            headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
            return self._message(403, "API rate limit exceeded for user ID 1.").with_headers(
                headers
            )
        text = "You have exceeded a secondary rate limit. Please wait a few minutes."
        wait = {} if effect.retry_after is None else {"retry-after": str(effect.retry_after)}
        return self._message(429 if effect.style == "429" else 403, text).with_headers(wait)

    def finished(self, asked: Asked, answer: Answer, *, sequence: int) -> Answer:
        """Add request id and the state of the primary limit."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        used = self._used(asked.credential.label, hour)
        return answer.with_headers(
            {
                "X-GitHub-Request-Id": f"{self.seed:04X}:{sequence:06X}",
                "X-GitHub-Media-Type": "github.v3; format=json",
                "X-GitHub-Api-Version-Selected": "2022-11-28",
                "x-ratelimit-limit": str(self.hourly_limit),
                "x-ratelimit-used": str(used),
                # Without the quota effect the limit is shown but not enforced: one is always left.
                "x-ratelimit-remaining": str(max(1, self.hourly_limit - used)),
                "x-ratelimit-reset": str(int((hour + timedelta(hours=1)).timestamp())),
                "x-ratelimit-resource": "core",
            }
        )

    def _used(self, label: str, hour: datetime) -> int:
        """Count this credential's calls since the hour began, the present one included."""
        if self._counted.get(label, (hour, 0))[0] != hour:
            self._counted.pop(label)
        count = self._counted.get(label, (hour, 0))[1] + 1
        self._counted[label] = (hour, count)
        return count

    # Who am I, and what is there ---------------------------------------------------------------

    @route("GET", "/rate_limit", operation="rate-limit/get")
    def rate_limit(self, asked: Asked) -> Answer:
        """Show the limits; the cheapest proof that a token is good."""
        hour = self.clock.now().replace(minute=0, second=0, microsecond=0)
        used = self._counted.get(asked.credential.label, (hour, 0))[1]
        core = {
            "limit": self.hourly_limit,
            "used": used,
            "remaining": max(1, self.hourly_limit - used),
            "reset": int((hour + timedelta(hours=1)).timestamp()),
        }
        search = {"limit": 30, "used": 0, "remaining": 30, "reset": core["reset"]}
        return Answer(200, {"resources": {"core": core, "search": search}, "rate": core})

    @route("GET", "/users/{username}", operation="users/get-by-username")
    def user(self, asked: Asked) -> Answer:
        """Show anybody's public profile."""
        return Answer(200, self.profile(self._login(asked), asked.base_url))

    @route("GET", ORG, operation="orgs/get")
    def organization(self, asked: Asked) -> Answer:
        """Show the organization with its seats."""
        return Answer(200, self.organization_view(self._org(asked), asked.base_url))

    @route("GET", ORG + "/members", operation="orgs/list-members", needs=(READ,))
    def members(self, asked: Asked) -> Answer:
        """List active members."""
        org = self._org(asked)
        rows = self.memberships(org, state="active")
        wanted = asked.query.get("role", "all")
        logins = [row["login"] for row in rows if wanted in ("all", row["role"])]
        return self._page(asked, [self.simple_user(login, asked.base_url) for login in logins])

    # Membership --------------------------------------------------------------------------------

    @route("GET", MEMBERSHIP, operation="orgs/get-membership-for-user", needs=(READ,))
    def membership(self, asked: Asked) -> Answer:
        """Show one membership, active or pending."""
        org, login = self._org(asked), self._login(asked)
        found = self.membership_of(org, login)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return Answer(200, self.membership_view(org, found, asked.base_url))

    @route("PUT", MEMBERSHIP, operation="orgs/set-membership-for-user", needs=(WRITE,))
    def set_membership(self, asked: Asked) -> Answer:
        """Invite a user, or change the role of a member; repeating it changes nothing."""
        org, login = self._org(asked), self._login(asked)
        asked.concerns(f"org/{login.lower()}")
        role = asked.json().get("role", "member")
        if role not in ROLES:
            raise Refused(self._invalid("role", "invalid"))
        found = self.membership_of(org, login)
        if found is None:
            self._may_be_invited(org, login)
            found = self.invite(org, login=login, email=None, role=role, inviter=asked.credential)
        else:
            found = self.keep_membership(org, {**found, "role": role})
        return Answer(200, self.membership_view(org, found, asked.base_url))

    @route("DELETE", MEMBERSHIP, operation="orgs/remove-membership-for-user", needs=(WRITE,))
    def remove_membership(self, asked: Asked) -> Answer:
        """Remove a member with all that came through membership, or withdraw an invitation."""
        org, login = self._org(asked), self._login(asked)
        asked.concerns(f"org/{login.lower()}")
        found = self.membership_of(org, login)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        if self.is_last_owner(org, found):
            raise Refused(self._message(403, "Cannot remove the last owner of the organization."))
        self.forget_member(org, login)
        return Answer(204)

    def _may_be_invited(self, org: Document, login: str) -> None:
        if login.lower() in org["blocked_by"]:
            raise Refused(self._invalid("invitee_id", "unprocessable", "Invitee has blocked this"))
        if not self.take_seat(used=self.filled_seats(org), seats=org["seats"]):
            text = "You must purchase at least one more seat to add this user as a member."
            raise Refused(self._message(422, text))
        day = self.clock.now() - timedelta(days=1)
        if self.invited_since(org, day) >= org["invitations_per_day"]:
            text = "You have exceeded the number of invitations allowed in 24 hours."
            raise Refused(self._message(422, text))

    def _invalid(self, name: str, code: str, text: str | None = None) -> Answer:
        problem = {"resource": "OrganizationInvitation", "field": name, "code": code}
        if text:
            problem["message"] = text
        return self._message(422, "Validation Failed", errors=[problem])

    # Invitations -------------------------------------------------------------------------------

    @route("GET", ORG + "/invitations", operation="orgs/list-pending-invitations", needs=(READ,))
    def invitations(self, asked: Asked) -> Answer:
        """List open invitations, of users and of addresses."""
        org = self._org(asked)
        lag = self.lag("github.invitations")
        rows = self.store.rows("invitations", lambda row: row["state"] == "pending", lag=lag)
        mine = [row for row in rows.values() if row["org"] == org["login"]]
        return self._page(asked, [self.invitation_view(row, asked.base_url) for row in mine])

    @route(
        "GET", ORG + "/failed_invitations", operation="orgs/list-failed-invitations", needs=(READ,)
    )
    def failed_invitations(self, asked: Asked) -> Answer:
        """List invitations that expired or failed."""
        org = self._org(asked)
        lag = self.lag("github.invitations")
        rows = self.store.rows("invitations", lambda row: row["state"] == "failed", lag=lag)
        mine = [row for row in rows.values() if row["org"] == org["login"]]
        return self._page(asked, [self.invitation_view(row, asked.base_url) for row in mine])

    @route("POST", ORG + "/invitations", operation="orgs/create-invitation", needs=(WRITE,))
    def create_invitation(self, asked: Asked) -> Answer:
        """Invite by e-mail address or user id, with teams."""
        org, wanted = self._org(asked), asked.json()
        email, role = wanted.get("email"), wanted.get("role", "direct_member")
        login = self.login_of(wanted.get("invitee_id"))
        if not email and not login:
            raise Refused(self._invalid("invitee_id", "missing_field"))
        asked.concerns(f"invitation/{(email or login or '').lower()}")
        if role not in {"admin", "direct_member", "billing_manager", "reinstate"}:
            raise Refused(self._invalid("role", "invalid"))
        if email and self.is_known_address(org, email):
            text = "A user with this email address is already a part of this organization"
            raise Refused(self._invalid("email", "unprocessable", text))
        if login and self.membership_of(org, login):
            raise Refused(
                self._invalid("invitee_id", "unprocessable", "Invitee is already a member")
            )
        teams = [self.team_by_id(org, team) for team in wanted.get("team_ids", [])]
        if None in teams:
            raise Refused(self._invalid("team_ids", "invalid"))
        self._may_be_invited(org, login or "")
        slugs = [team["slug"] for team in teams if team]
        row = self.invite(
            org, login=login, email=email, role=role, inviter=asked.credential, teams=slugs
        )
        invitation = row if email else self.pending_invitation(org, login or "")
        assert invitation is not None
        return Answer(201, self.invitation_view(invitation, asked.base_url))

    @route(
        "DELETE",
        ORG + "/invitations/{invitation_id}",
        operation="orgs/cancel-invitation",
        needs=(WRITE,),
    )
    def cancel_invitation(self, asked: Asked) -> Answer:
        """Withdraw an open invitation."""
        org = self._org(asked)
        row = self.store.find("invitations", asked.params["invitation_id"])
        if row is None or row["state"] != "pending":
            raise Refused(self.error("404", asked=asked))
        asked.concerns(f"invitation/{(row['email'] or row['login']).lower()}")
        self.withdraw_invitation(org, row)
        return Answer(204)

    # Teams -------------------------------------------------------------------------------------

    @route("GET", ORG + "/teams", operation="teams/list", needs=(READ,))
    def teams(self, asked: Asked) -> Answer:
        """List the teams."""
        org = self._org(asked)
        rows = self.store.rows("teams", lambda row: row["org"] == org["login"])
        return self._page(asked, [views.team(row, asked.base_url) for row in rows.values()])

    @route("GET", TEAM_MEMBERSHIP, operation="teams/get-membership-for-user-in-org", needs=(READ,))
    def team_membership(self, asked: Asked) -> Answer:
        """Show one team membership."""
        slug, login = self._team(asked)["slug"], self._login(asked)
        found = self.store.find("team_members", f"{slug}/{login.lower()}")
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return Answer(200, self.team_membership_view(found, asked.base_url))

    @route(
        "PUT",
        TEAM_MEMBERSHIP,
        operation="teams/add-or-update-membership-for-user-in-org",
        needs=(WRITE,),
    )
    def join_team(self, asked: Asked) -> Answer:
        """Put a user into a team; who is no member yet is invited and stays pending."""
        org, team, login = self._org(asked), self._team(asked), self._login(asked)
        asked.concerns(f"team/{team['slug']}/{login.lower()}")
        role = asked.json().get("role", "member")
        if role not in {"member", "maintainer"}:
            raise Refused(self._invalid("role", "invalid"))
        if team["managed_by_idp"]:
            raise Refused(self._message(403, "This team is managed by an identity provider."))
        member = self.membership_of(org, login)
        state = member["state"] if member else "pending"
        row = {"team": team["slug"], "login": login, "role": role, "state": state}
        if member is None:
            self._may_be_invited(org, login)
        self.store.put("team_members", f"{team['slug']}/{login.lower()}", row)
        if member is None:
            self.invite(org, login=login, email=None, role="member", inviter=asked.credential)
        return Answer(200, self.team_membership_view(row, asked.base_url))

    @route(
        "DELETE",
        TEAM_MEMBERSHIP,
        operation="teams/remove-membership-for-user-in-org",
        needs=(WRITE,),
    )
    def leave_team(self, asked: Asked) -> Answer:
        """Take a user out of a team."""
        team, login = self._team(asked), self._login(asked)
        asked.concerns(f"team/{team['slug']}/{login.lower()}")
        if team["managed_by_idp"]:
            raise Refused(self._message(403, "This team is managed by an identity provider."))
        if not self.store.remove("team_members", f"{team['slug']}/{login.lower()}"):
            raise Refused(self.error("404", asked=asked))
        return Answer(204)

    # Repositories ------------------------------------------------------------------------------

    @route(
        "GET",
        COLLABORATOR,
        operation="repos/check-collaborator",
        needs=("metadata:read|" + REPOSITORY,),
    )
    def collaborator(self, asked: Asked) -> Answer:
        """Say by status whether a user has access to a repository."""
        repository, login = self._repository(asked), self._login(asked)
        if not self.store.find("collaborators", f"{repository['full_name']}/{login.lower()}"):
            raise Refused(self.error("404", asked=asked))
        return Answer(204)

    @route("PUT", COLLABORATOR, operation="repos/add-collaborator", needs=(REPOSITORY,))
    def add_collaborator(self, asked: Asked) -> Answer:
        """Give access: at once to active members, by invitation to everybody else."""
        repository, login = self._repository(asked), self._login(asked)
        asked.concerns(f"repo/{repository['full_name']}/{login.lower()}")
        permission = asked.json().get("permission", "push")
        if permission not in PERMISSIONS:
            raise Refused(self._invalid("permission", "invalid"))
        org = self.store.find("orgs", repository["owner"].lower())
        member = self.membership_of(org, login) if org else None
        key = f"{repository['full_name']}/{login.lower()}"
        row = {"repository": repository["full_name"], "login": login, "permission": permission}
        if (member and member["state"] == "active") or self.store.find("collaborators", key):
            self.store.put("collaborators", key, row)
            return Answer(204)
        row = self.invite_to_repository(key, row)
        return Answer(201, self.repository_invitation_view(row, asked.credential, asked.base_url))

    @route("DELETE", COLLABORATOR, operation="repos/remove-collaborator", needs=(REPOSITORY,))
    def remove_collaborator(self, asked: Asked) -> Answer:
        """Take access away, open invitations included."""
        repository, login = self._repository(asked), self._login(asked)
        asked.concerns(f"repo/{repository['full_name']}/{login.lower()}")
        key = f"{repository['full_name']}/{login.lower()}"
        had = self.store.remove("collaborators", key)
        invited = self.store.remove("repository_invitations", key)
        if not had and not invited:
            raise Refused(self.error("404", asked=asked))
        return Answer(204)

    # Reading a request -------------------------------------------------------------------------

    def _org(self, asked: Asked) -> Document:
        found = self.store.find("orgs", asked.params["org"].lower())
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def _team(self, asked: Asked) -> Document:
        org = self._org(asked)
        found = self.store.find("teams", asked.params["slug"])
        if found is None or found["org"] != org["login"]:
            raise Refused(self.error("404", asked=asked))
        return found

    def _repository(self, asked: Asked) -> Document:
        name = f"{asked.params['owner']}/{asked.params['repo']}".lower()
        found = self.store.find("repositories", name)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return found

    def _login(self, asked: Asked) -> str:
        login = asked.params["username"]
        if not self.exists(login):
            raise Refused(self.error("404", asked=asked))
        return login

    def _page(self, asked: Asked, rows: list[Document]) -> Answer:
        """Give one page of a listing, with the links GitHub puts into a header."""
        size = self.page(_number(asked.query.get("per_page"), 30), largest=100)
        number = max(1, _number(asked.query.get("page"), 1))
        last = max(1, -(-len(rows) // size))
        links = []
        for name, target in (("prev", number - 1), ("next", number + 1), ("last", last)):
            if 1 <= target <= last and target != number:
                url = f"{asked.base_url}{asked.path}?per_page={size}&page={target}"
                links.append(f'<{url}>; rel="{name}"')
        headers = {"Link": ", ".join(links)} if links else {}
        return Answer(200, rows[(number - 1) * size : number * size], headers)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default
