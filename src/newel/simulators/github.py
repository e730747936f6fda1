"""GitHub: organization membership, invitations, teams, repository access, seats.

The contract is the vendor's OpenAPI document (`tests/contract/specs/github.openapi.json`) and the
connectors document, §14. Here are the routes; what the organization is made of and how it is shown
is in `github_world`. Views that can lag: `github.invitations`.
Any well-formed login exists: a typo invites a stranger, as it does at GitHub.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from . import github_views as views
from .clock import stamp
from .faults import RemoveScope
from .github_issues import GitHubIssues
from .github_world import APP_SCOPES
from .signing import Malformed, verified_claims
from .wire import Answer, Asked, Document, Refused, route

READ = "members:read|members:write"
WRITE = "members:write"
REPOSITORY = "administration:write"
ORG = "/orgs/{org}"
MEMBERSHIP = ORG + "/memberships/{username}"
TEAM = ORG + "/teams/{slug}"
TEAM_MEMBERSHIP = TEAM + "/memberships/{username}"
COLLABORATORS = "/repos/{owner}/{repo}/collaborators"
COLLABORATOR = COLLABORATORS + "/{username}"
ROLES = {"admin", "member"}
_NOT_MANAGED = "Only users who are managed by the enterprise can be members"
# A statement of an App may last ten minutes; a minute more for clocks that differ.
APP_STATEMENT_LASTS_S = 660
_RANK = {"read": 1, "write": 2}
PERMISSIONS = {"pull", "triage", "push", "maintain", "admin"}


class GitHubSimulator(GitHubIssues):
    """GitHub with one organization; see the module's text."""

    # Apps --------------------------------------------------------------------------------------

    @route(
        "POST",
        "/app/installations/{installation_id}/access_tokens",
        operation="apps/create-installation-access-token",
        mutating=False,
        open=True,
    )
    def access_token(self, asked: Asked) -> Answer:
        """Exchange an App's signed statement for a token that lasts an hour."""
        installation = self._installation(asked)
        if asked.params["installation_id"] != installation["id"]:
            raise Refused(self.error("404", asked=asked))
        held = {name: kind for name, _, kind in (s.partition(":") for s in self._app_scopes())}
        wanted = asked.json().get("permissions") or held
        if any(_RANK[kind] > _RANK.get(held.get(name, ""), 0) for name, kind in wanted.items()):
            text = "The permissions requested are not granted to this installation."
            raise Refused(self.message(422, text))
        secret = f"ghs_{self.store.opaque('installation token', 36)}"
        scopes = [f"{name}:{kind}" for name, kind in wanted.items()]
        self.grant("newel-app", secret, scopes, for_s=3600)
        expires = self.now() + timedelta(hours=1)
        body = {
            "token": secret,
            "expires_at": stamp(expires),
            "permissions": wanted,
            "repository_selection": "all",
        }
        return Answer(201, body)

    def _installation(self, asked: Asked) -> Document:
        """Find the App by its statement. Raises Refused with 401 for one that proves nothing."""
        kind, _, statement = asked.headers.get("authorization", "").partition(" ")
        try:
            claims = verified_claims(statement, self.seed)
        except Malformed as wrong:
            text = "A JSON web token could not be decoded"
            raise Refused(self.message(401, text)) from wrong
        app: Document = self.store.find("apps", str(claims.get("iss"))) or {}
        if not app or kind.lower() != "bearer" or self.is_revoked("newel-app"):
            raise Refused(self.message(401, "Integration not found"))
        now = self.now().timestamp()
        issued, expires = claims.get("iat", 0), claims.get("exp", 0)
        if not now < expires <= now + APP_STATEMENT_LASTS_S:
            text = "'Expiration time' claim ('exp') must be a numeric value representing the future"
            raise Refused(self.message(401, text))
        if issued > now:
            text = "'Issued at' claim ('iat') must be an Integer representing the past"
            raise Refused(self.message(401, text))
        return app

    def _app_scopes(self) -> list[str]:
        """Give what the organization has granted to the App, less what a fault took away."""
        removed = {e.scope for _, e in self.faults.conditions(RemoveScope, self.clock.now())}
        return [scope for scope in APP_SCOPES if scope not in removed]

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
        return Answer(200, self.profile(self.the_login(asked), asked.base_url))

    @route("GET", ORG, operation="orgs/get")
    def organization(self, asked: Asked) -> Answer:
        """Show the organization with its seats."""
        return Answer(200, self.organization_view(self.the_org(asked), asked.base_url))

    @route("GET", ORG + "/members", operation="orgs/list-members", needs=(READ,))
    def members(self, asked: Asked) -> Answer:
        """List active members."""
        org = self.the_org(asked)
        rows = self.memberships(org, state="active")
        wanted = asked.query.get("role", "all")
        logins = [row["login"] for row in rows if wanted in ("all", row["role"])]
        return self.listed(asked, [self.simple_user(login, asked.base_url) for login in logins])

    # Membership --------------------------------------------------------------------------------

    @route("GET", MEMBERSHIP, operation="orgs/get-membership-for-user", needs=(READ,))
    def membership(self, asked: Asked) -> Answer:
        """Show one membership, active or pending."""
        org, login = self.the_org(asked), self.the_login(asked)
        found = self.membership_of(org, login)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        return Answer(200, self.membership_view(org, found, asked.base_url))

    @route("PUT", MEMBERSHIP, operation="orgs/set-membership-for-user", needs=(WRITE,))
    def set_membership(self, asked: Asked) -> Answer:
        """Invite a user, or change the role of a member; repeating it changes nothing."""
        org, login = self.the_org(asked), self.the_login(asked)
        asked.concerns(f"org/{login.lower()}")
        role = asked.json().get("role", "member")
        if role not in ROLES:
            raise Refused(self.invalid("role", "invalid"))
        found = self.membership_of(org, login)
        if found is None:
            self._may_be_invited(org, login)
            if org["short_code"]:
                found = self.create_by_hand(login, role)
                return Answer(200, self.membership_view(org, found, asked.base_url))
            found = self.invite(org, login=login, email=None, role=role, inviter=asked.credential)
        else:
            found = self.keep_membership(org, {**found, "role": role})
        return Answer(200, self.membership_view(org, found, asked.base_url))

    @route("DELETE", MEMBERSHIP, operation="orgs/remove-membership-for-user", needs=(WRITE,))
    def remove_membership(self, asked: Asked) -> Answer:
        """Remove a member with all that came through membership, or withdraw an invitation."""
        org, login = self.the_org(asked), self.the_login(asked)
        asked.concerns(f"org/{login.lower()}")
        found = self.membership_of(org, login)
        if found is None:
            raise Refused(self.error("404", asked=asked))
        if self.is_last_owner(org, found):
            raise Refused(self.message(403, "Cannot remove the last owner of the organization."))
        self.forget_member(org, login)
        return Answer(204)

    def _may_be_invited(self, org: Document, login: str) -> None:
        if org["short_code"] and self.store.find("managed_users", login.lower()) is None:
            raise Refused(self.invalid("invitee_id", "unprocessable", _NOT_MANAGED))
        if login.lower() in org["blocked_by"]:
            raise Refused(self.invalid("invitee_id", "unprocessable", "Invitee has blocked this"))
        if not self.take_seat(used=self.filled_seats(org), seats=org["seats"]):
            text = "You must purchase at least one more seat to add this user as a member."
            raise Refused(self.message(422, text))
        day = self.clock.now() - timedelta(days=1)
        if self.invited_since(org, day) >= org["invitations_per_day"]:
            text = "You have exceeded the number of invitations allowed in 24 hours."
            raise Refused(self.message(422, text))

    # Invitations -------------------------------------------------------------------------------

    @route("GET", ORG + "/invitations", operation="orgs/list-pending-invitations", needs=(READ,))
    def invitations(self, asked: Asked) -> Answer:
        """List open invitations, of users and of addresses."""
        org = self.the_org(asked)
        lag = self.lag("github.invitations")
        rows = self.store.rows("invitations", lambda row: row["state"] == "pending", lag=lag)
        mine = [row for row in rows.values() if row["org"] == org["login"]]
        return self.listed(asked, [self.invitation_view(row, asked.base_url) for row in mine])

    @route(
        "GET", ORG + "/failed_invitations", operation="orgs/list-failed-invitations", needs=(READ,)
    )
    def failed_invitations(self, asked: Asked) -> Answer:
        """List invitations that expired or failed."""
        org = self.the_org(asked)
        lag = self.lag("github.invitations")
        rows = self.store.rows("invitations", lambda row: row["state"] == "failed", lag=lag)
        mine = [row for row in rows.values() if row["org"] == org["login"]]
        return self.listed(asked, [self.invitation_view(row, asked.base_url) for row in mine])

    @route("POST", ORG + "/invitations", operation="orgs/create-invitation", needs=(WRITE,))
    def create_invitation(self, asked: Asked) -> Answer:
        """Invite by e-mail address or user id, with teams."""
        org, wanted = self.the_org(asked), asked.json()
        email, role = wanted.get("email"), wanted.get("role", "direct_member")
        login = self.login_of(wanted.get("invitee_id"))
        if not email and not login:
            raise Refused(self.invalid("invitee_id", "missing_field"))
        asked.concerns(f"invitation/{(email or login or '').lower()}")
        if role not in {"admin", "direct_member", "billing_manager", "reinstate"}:
            raise Refused(self.invalid("role", "invalid"))
        if email and self.is_known_address(org, email):
            text = "A user with this email address is already a part of this organization"
            raise Refused(self.invalid("email", "unprocessable", text))
        if login and self.membership_of(org, login):
            raise Refused(
                self.invalid("invitee_id", "unprocessable", "Invitee is already a member")
            )
        teams = [self.team_by_id(org, team) for team in wanted.get("team_ids", [])]
        if None in teams:
            raise Refused(self.invalid("team_ids", "invalid"))
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
        org = self.the_org(asked)
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
        org = self.the_org(asked)
        rows = self.store.rows("teams", lambda row: row["org"] == org["login"])
        return self.listed(asked, [views.team(row, asked.base_url) for row in rows.values()])

    @route("GET", TEAM, operation="teams/get-by-name", needs=(READ,))
    def team_by_name(self, asked: Asked) -> Answer:
        """Show one team."""
        org, team = self.the_org(asked), self.the_team(asked)
        members = self.store.count("team_members", lambda row: row["team"] == team["slug"])
        whole = self.organization_view(org, asked.base_url)
        return Answer(200, views.full_team(team, whole, members=members, base_url=asked.base_url))

    @route("GET", TEAM + "/members", operation="teams/list-members-in-org", needs=(READ,))
    def team_listing(self, asked: Asked) -> Answer:
        """List who is in a team; who was only invited is not."""
        self.the_org(asked)
        slug = self.the_team(asked)["slug"]
        rows = self.store.rows(
            "team_members", lambda row: row["team"] == slug and row["state"] == "active"
        )
        shown = [self.simple_user(row["login"], asked.base_url) for row in rows.values()]
        return self.listed(asked, shown)

    @route("GET", TEAM_MEMBERSHIP, operation="teams/get-membership-for-user-in-org", needs=(READ,))
    def team_membership(self, asked: Asked) -> Answer:
        """Show one team membership."""
        slug, login = self.the_team(asked)["slug"], self.the_login(asked)
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
        org, team, login = self.the_org(asked), self.the_team(asked), self.the_login(asked)
        asked.concerns(f"team/{team['slug']}/{login.lower()}")
        role = asked.json().get("role", "member")
        if role not in {"member", "maintainer"}:
            raise Refused(self.invalid("role", "invalid"))
        if team["managed_by_idp"]:
            raise Refused(self.message(403, "This team is managed by an identity provider."))
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
        team, login = self.the_team(asked), self.the_login(asked)
        asked.concerns(f"team/{team['slug']}/{login.lower()}")
        if team["managed_by_idp"]:
            raise Refused(self.message(403, "This team is managed by an identity provider."))
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
        """Say by status whether a user has access: given, or what every member may do anyway."""
        repository, login = self.the_repository(asked), self.the_login(asked)
        org = self.store.find("orgs", repository["owner"].lower())
        member = self.membership_of(org, login) if org else None
        is_member = member is not None and member["state"] == "active"
        key = f"{repository['full_name']}/{login.lower()}"
        if not is_member and not self.store.find("collaborators", key):
            raise Refused(self.error("404", asked=asked))
        return Answer(204)

    @route(
        "GET",
        COLLABORATORS,
        operation="repos/list-collaborators",
        needs=("metadata:read|" + REPOSITORY,),
    )
    def collaborators(self, asked: Asked) -> Answer:
        """List who has access; `affiliation=direct`: only to whom it was given."""
        repository = self.the_repository(asked)
        rows = self.store.rows(
            "collaborators", lambda row: row["repository"] == repository["full_name"]
        ).values()
        given = {row["login"]: row["permission"] for row in rows}
        org = self.store.find("orgs", repository["owner"].lower())
        if org and asked.query.get("affiliation", "all") == "all":
            members = {row["login"]: "pull" for row in self.memberships(org, state="active")}
            given = {**members, **given}
        shown = [
            views.collaborator(self.simple_user(login, asked.base_url), level)
            for login, level in given.items()
        ]
        return self.listed(asked, shown)

    @route("PUT", COLLABORATOR, operation="repos/add-collaborator", needs=(REPOSITORY,))
    def add_collaborator(self, asked: Asked) -> Answer:
        """Give access: at once to active members, by invitation to everybody else."""
        repository, login = self.the_repository(asked), self.the_login(asked)
        asked.concerns(f"repo/{repository['full_name']}/{login.lower()}")
        permission = asked.json().get("permission", "push")
        if permission not in PERMISSIONS:
            raise Refused(self.invalid("permission", "invalid"))
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
        repository, login = self.the_repository(asked), self.the_login(asked)
        asked.concerns(f"repo/{repository['full_name']}/{login.lower()}")
        key = f"{repository['full_name']}/{login.lower()}"
        had = self.store.remove("collaborators", key)
        invited = self.store.remove("repository_invitations", key)
        if not had and not invited:
            raise Refused(self.error("404", asked=asked))
        return Answer(204)


# Clients follow the address that a team shows of itself, which has its number.
GitHubSimulator.routes = (
    *GitHubSimulator.routes,
    *[
        replace(each, template=each.template.replace(TEAM, "/organizations/{org}/team/{slug}"))
        for each in GitHubSimulator.routes
        if each.template.startswith(TEAM)
    ],
)
