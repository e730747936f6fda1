"""What GitHub is made of: one organization, its people, invitations that expire, and views.

An invitation and a pending membership are two faces of one thing: inviting a user by name makes
both, inviting an address makes the invitation only, and accepting turns either into membership.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from . import github_views as views
from .clock import stamp
from .core import Simulator
from .quota import RateLimit
from .signing import private_pem
from .system import Capacity, Panel, RowAct, action
from .wire import Credential, Document

_OWN_NAME = "[A-Za-z0-9](?:[A-Za-z0-9]|-(?=[A-Za-z0-9])){0,38}"
LOGIN = re.compile(f"{_OWN_NAME}(?:_[A-Za-z0-9]{{3,8}})?")  # managed ones end in a short code
INVITATION_LASTS = timedelta(days=7)
ALL_SCOPES = (
    "members:read",
    "members:write",
    "administration:write",
    "metadata:read",
    "issues:write",
)
APP_SCOPES = ("members:write", "administration:write", "metadata:read", "issues:write")
APP_ID = "310042"
INSTALLATION = "5150042"


class GitHubWorld(Simulator):
    """The state of GitHub, and what people do there."""

    system = "github"
    title = "GitHub"
    # docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
    rate_limits = (
        RateLimit(most=80, seconds=60, is_of_changes=True),
        RateLimit(most=5000, seconds=3600, style="primary"),
    )

    def __init__(
        self,
        *,
        seats: int | None = 50,
        invitations_per_day: int = 500,
        short_code: str = "",
        **options: Any,
    ) -> None:
        """Make it with so many seats (None: unlimited); 500 invitations a day suit a paid plan.

        short_code: of the enterprise that manages the people; nobody is invited then.
        """
        self._short_code = short_code
        self._seats = seats
        self._invitations_per_day = invitations_per_day
        super().__init__(**options)

    def forget(self) -> None:
        """Forget the calls of this hour as well."""
        super().forget()
        self._counted: dict[str, tuple[datetime, int]] = {}

    def populate(self) -> None:
        """Make the organization acme-example with its owner, two teams and two repositories."""
        org = {
            "login": "acme-example",
            "id": self.store.number("org", start=9_100_001),
            "seats": self._seats,
            "invitations_per_day": self._invitations_per_day,
            "created_at": "2019-03-04T09:00:00Z",
            "blocked_by": [],
            "short_code": self._short_code,
        }
        self.store.put("orgs", "acme-example", org)
        for slug in ("platform", "engineering"):
            self.add_team(slug)
        for name in ("api", "console"):
            self.add_repository(name)
        owner = {
            "login": "acme-owner",
            "role": "admin",
            "state": "active",
            "since": "2019-03-04T09:00:00Z",
        }
        self.store.put("memberships", "acme-example/acme-owner", {**owner, "org": "acme-example"})
        self.store.put("apps", APP_ID, {"id": INSTALLATION, "app_id": APP_ID})
        self.grant(
            "newel",
            f"github_pat_{self.store.opaque('token', 40)}",
            ALL_SCOPES,
            subject="acme-owner",
        )

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give token, App, organization and address."""
        token = next(iter(self.store.rows("credentials", lambda row: row["label"] == "newel")))
        return {
            "GITHUB_TOKEN": token,
            "GITHUB_APP_ID": APP_ID,
            "GITHUB_INSTALLATION": INSTALLATION,
            "GITHUB_APP_KEY": private_pem(self.seed),
            "GITHUB_ORG": "acme-example",
            "GITHUB_URL": address or "https://api.github.com",
        }

    def tick(self) -> None:
        """Let invitations expire after seven days."""
        now = self.clock.now()
        due = self.store.rows(
            "invitations",
            lambda row: (
                row["state"] == "pending"
                and datetime.fromisoformat(row["created_at"]) + INVITATION_LASTS <= now
            ),
        )
        for row in due.values():
            self._fail_invitation(
                row, "Invitation expired. User did not accept this invite for 7 days."
            )

    def accounts(self) -> list[Document]:
        """List members and pending members."""
        return [
            {
                "id": str(self.user_id(row["login"])),
                "handle": row["login"],
                "email": row.get("email") or "",
                "state": row["state"],
                "marker": "",
                "access": sorted(self.access(row["login"])),
            }
            for row in self.store.rows("memberships").values()
        ]

    def capacity(self) -> list[Capacity]:
        """Count the seats of the organization."""
        orgs = self.store.rows("orgs").values()
        return [Capacity(what="seats", used=self.filled_seats(o), most=o["seats"]) for o in orgs]

    def access(self, login: str) -> set[str]:
        """Give the names of the repositories a user was given access to."""
        rows = self.store.rows("collaborators", lambda row: row["login"].lower() == login.lower())
        return {row["repository"].partition("/")[2] for row in rows.values()}

    def panels(self) -> list[Panel]:
        """Show members, invitations, team memberships, repository access."""
        members = reversed(self.store.rows("memberships").values())
        invitations = list(reversed(self.store.rows("invitations").values()))
        teams = reversed(self.store.rows("team_members").values())
        access = reversed(self.store.rows("collaborators").values())
        issues = reversed(self.store.rows("issues").values())
        return [
            Panel(
                title="Members",
                columns=("Login", "Role", "State", "Since"),
                rows=[(r["login"], r["role"], r["state"], r["since"]) for r in members],
            ),
            Panel(
                title="Invitations",
                columns=("To", "Role", "State", "Created"),
                rows=[
                    (r["email"] or r["login"], r["role"], r["state"], r["created_at"])
                    for r in invitations
                ],
                acts=[_answers(r) for r in invitations],
            ),
            Panel(
                title="Teams",
                columns=("Login", "Team", "Role", "State"),
                rows=[(r["login"], r["team"], r["role"], r["state"]) for r in teams],
            ),
            Panel(
                title="Repository access",
                columns=("Login", "Repository", "Permission"),
                rows=[(r["login"], r["repository"], r["permission"]) for r in access],
            ),
            Panel(
                title="Issues",
                columns=("Number", "Title", "State", "Labels"),
                rows=[
                    (str(r["number"]), r["title"], r["state"], ", ".join(r["labels"]))
                    for r in issues
                ],
            ),
        ]

    # What people do ----------------------------------------------------------------------------

    @action
    def accept_invitation(self, who: str, username: str | None = None) -> Document:
        """Accept the open invitation of a login or address; `username` says who the address is."""
        found = self._open_invitation(who)
        login = found["login"] or username
        if not login:
            message = f"say by `username` which GitHub user {who} is"
            raise ValueError(message)
        self.store.put("invitations", str(found["id"]), {**found, "state": "accepted"})
        org: Document = self.store.find("orgs", found["org"]) or {}
        role = "admin" if found["role"] == "admin" else "member"
        email = found["email"]
        self.keep_membership(org, self._new_membership(org, login, role, "active", email))
        for slug in found["teams"]:
            row = {"team": slug, "login": login, "role": "member", "state": "active"}
            self.store.put("team_members", f"{slug}/{login.lower()}", row)
        mine = self.store.rows("team_members", lambda row: row["login"].lower() == login.lower())
        for key, row in mine.items():
            self.store.put("team_members", key, {**row, "state": "active"})
        return {"login": login, "state": "active"}

    def _open_invitation(self, who: str) -> Document:
        found = self.store.first(
            "invitations",
            lambda row: (
                row["state"] == "pending"
                and who.lower() in ((row["login"] or "").lower(), (row["email"] or "").lower())
            ),
        )
        if found is None:
            message = f"{who} has no open invitation"
            raise ValueError(message)
        return found

    @action
    def expire_invitation(self, who: str) -> None:
        """Let the open invitation of a login or address expire now."""
        self._fail_invitation(
            self._open_invitation(who),
            "Invitation expired. User did not accept this invite for 7 days.",
        )

    @action
    def expire_invitations(self) -> int:
        """Let all open invitations expire now; says how many."""
        rows = self.store.rows("invitations", lambda row: row["state"] == "pending")
        for row in rows.values():
            self._fail_invitation(
                row, "Invitation expired. User did not accept this invite for 7 days."
            )
        return len(rows)

    @action
    def create_by_hand(self, login: str, role: str = "member") -> Document:
        """Let an owner add a member in the browser, who has accepted at once."""
        org: Document = self.store.find("orgs", "acme-example") or {}
        return self.keep_membership(org, self._new_membership(org, login, role, "active"))

    @action
    def provision(self, email: str) -> str:
        """Let the identity provider make a managed user of an address; gives the user name."""
        local = email.partition("@")[0].lower()
        plain = "".join(each if each.isalnum() else "-" for each in local)
        org: Document = self.store.find("orgs", "acme-example") or {}
        login = f"{plain}_{org['short_code']}"
        self.store.put("managed_users", login, {"login": login, "email": email})
        return login

    @action
    def block_org(self, login: str) -> None:
        """Let a user block the organization: no invitation reaches them."""
        org: Document = self.store.find("orgs", "acme-example") or {}
        blocked = sorted({*org["blocked_by"], login.lower()})
        self.store.put("orgs", "acme-example", {**org, "blocked_by": blocked})

    @action
    def make_last_owner(self, login: str) -> None:
        """Make this member the only owner."""
        for key, row in self.store.rows("memberships").items():
            role = "admin" if row["login"].lower() == login.lower() else "member"
            self.store.put("memberships", key, {**row, "role": role})

    @action
    def add_team(self, slug: str, *, managed_by_idp: bool = False) -> None:
        """Make a team in the organization."""
        team = {
            "id": self.store.number("team", start=4_200_001),
            "slug": slug,
            "name": slug.capitalize(),
            "org": "acme-example",
            "managed_by_idp": managed_by_idp,
        }
        self.store.put("teams", slug, team)

    @action
    def add_repository(self, name: str, owner: str = "acme-example") -> None:
        """Make a private repository."""
        identity = self.store.number("repository", start=61_000_001)
        full_name = f"{owner}/{name}".lower()
        row = {"id": identity, "name": name, "owner": owner, "full_name": full_name}
        self.store.put("repositories", full_name, row)

    # State -------------------------------------------------------------------------------------

    def exists(self, login: str) -> bool:
        """Say whether GitHub has such a user: every well-formed login."""
        return LOGIN.fullmatch(login) is not None

    def user_id(self, login: str) -> int:
        """Give the numeric id of a login, the same in every world."""
        return 1_000_000 + int(sha256(login.lower().encode()).hexdigest()[:7], 16)

    def login_of(self, user_id: object) -> str | None:
        """Give the login of a numeric id, if somebody here has it."""
        rows = self.store.rows("memberships").values()
        return next((r["login"] for r in rows if self.user_id(r["login"]) == user_id), None)

    def membership_of(self, org: Document, login: str) -> Document | None:
        """Give the membership of a user, active or pending."""
        return self.store.find("memberships", f"{org['login']}/{login.lower()}")

    def memberships(self, org: Document, *, state: str) -> list[Document]:
        """List the memberships of an organization in one state."""
        rows = self.store.rows("memberships", lambda row: row["state"] == state)
        return [row for row in rows.values() if row["org"] == org["login"]]

    def keep_membership(self, org: Document, row: Document) -> Document:
        """Write a membership."""
        return self.store.put("memberships", f"{org['login']}/{row['login'].lower()}", row)

    def _new_membership(
        self, org: Document, login: str, role: str, state: str, email: str | None = None
    ) -> Document:
        since = stamp(self.clock.now())
        return {
            "org": org["login"],
            "login": login,
            "role": role,
            "state": state,
            "since": since,
            "email": email,
        }

    def forget_member(self, org: Document, login: str) -> None:
        """Remove a membership with everything that came through it."""
        self.store.remove("memberships", f"{org['login']}/{login.lower()}")
        for table in ("team_members", "collaborators", "repository_invitations"):
            rows = self.store.rows(table, lambda row: row["login"].lower() == login.lower())
            for key in rows:
                self.store.remove(table, key)
        if open_invitation := self.pending_invitation(org, login):
            self.store.put(
                "invitations", str(open_invitation["id"]), {**open_invitation, "state": "withdrawn"}
            )

    def is_last_owner(self, org: Document, row: Document) -> bool:
        """Say whether the organization would be without an owner."""
        owners = [m for m in self.memberships(org, state="active") if m["role"] == "admin"]
        return [owner["login"] for owner in owners] == [row["login"]]

    def is_known_address(self, org: Document, email: str) -> bool:
        """Say whether an address is invited or belongs to a member."""
        email = email.lower()
        invited = self.store.first(
            "invitations",
            lambda row: row["state"] == "pending" and (row["email"] or "").lower() == email,
        )
        member = self.store.first(
            "memberships",
            lambda row: row["org"] == org["login"] and (row.get("email") or "").lower() == email,
        )
        return invited is not None or member is not None

    def filled_seats(self, org: Document) -> int:
        """Count the seats in use: members, pending ones too, and invited addresses."""
        invited = self.store.count(
            "invitations",
            lambda row: (
                row["state"] == "pending" and row["login"] is None and row["org"] == org["login"]
            ),
        )
        return invited + self.store.count("memberships", lambda row: row["org"] == org["login"])

    def invited_since(self, org: Document, moment: datetime) -> int:
        """Count the invitations sent since then."""
        return self.store.count(
            "invitations",
            lambda row: (
                row["org"] == org["login"] and datetime.fromisoformat(row["created_at"]) > moment
            ),
        )

    def invite(
        self,
        org: Document,
        *,
        login: str | None,
        email: str | None,
        role: str,
        inviter: Credential,
        teams: Sequence[str] = (),
    ) -> Document:
        """Invite a user or an address; gives the pending membership, or an address's invitation."""
        member: Document | None = None
        if login:
            member_role = "admin" if role == "admin" else "member"
            member = self.keep_membership(
                org, self._new_membership(org, login, member_role, "pending")
            )
        row = {
            "id": self.store.number("invitation", start=7_000_001),
            "org": org["login"],
            "login": login,
            "email": email,
            "role": "direct_member" if role == "member" else role,
            "teams": list(teams),
            "state": "pending",
            "created_at": stamp(self.clock.now()),
            "inviter": inviter.subject or "acme-owner",
        }
        self.store.put("invitations", str(row["id"]), row)
        return member or row

    def pending_invitation(self, org: Document, login: str) -> Document | None:
        """Give the open invitation of a user."""
        return self.store.first(
            "invitations",
            lambda row: (
                row["state"] == "pending"
                and row["org"] == org["login"]
                and (row["login"] or "").lower() == login.lower()
            ),
        )

    def withdraw_invitation(self, org: Document, row: Document) -> None:
        """Take an invitation back, with the pending membership that stands for it."""
        self.store.put("invitations", str(row["id"]), {**row, "state": "withdrawn"})
        if row["login"]:
            self.forget_member(org, row["login"])

    def _fail_invitation(self, row: Document, reason: str) -> None:
        failed = {"state": "failed", "failed_at": stamp(self.clock.now()), "failed_reason": reason}
        self.store.put("invitations", str(row["id"]), {**row, **failed})
        if row["login"]:
            self.store.remove("memberships", f"{row['org']}/{row['login'].lower()}")

    def invite_to_repository(self, key: str, row: Document) -> Document:
        """Invite somebody who is no active member to a repository; repeating it gives the same."""
        found = self.store.find("repository_invitations", key)
        identity = found["id"] if found else self.store.number("repository invitation", start=5_001)
        created = found["created_at"] if found else stamp(self.clock.now())
        invitation = {**row, "id": identity, "created_at": created}
        return self.store.put("repository_invitations", key, invitation)

    def team_by_id(self, org: Document, identity: object) -> Document | None:
        """Give a team of the organization by its numeric id."""
        return self.store.first(
            "teams", lambda row: row["id"] == identity and row["org"] == org["login"]
        )

    # Views -------------------------------------------------------------------------------------

    def simple_user(self, login: str, base_url: str) -> Document:
        """Show a user as other things refer to them."""
        return views.simple_user(login, self.user_id(login), base_url)

    def profile(self, login: str, base_url: str) -> Document:
        """Show a user's public profile."""
        return views.public_user(login, self.user_id(login), base_url)

    def organization_view(self, org: Document, base_url: str) -> Document:
        """Show the organization with its seats."""
        filled = self.filled_seats(org)
        left = self.seats_left(used=filled, seats=org["seats"])
        seats = 0 if left is None else filled + left
        return views.full_organization(org, filled=filled, seats=seats, base_url=base_url)

    def membership_view(self, org: Document, row: Document, base_url: str) -> Document:
        """Show a membership."""
        organization = views.simple_organization(org["login"], org["id"], base_url)
        return {
            "url": f"{organization['url']}/memberships/{row['login']}",
            "state": row["state"],
            "role": row["role"],
            "organization_url": organization["url"],
            "organization": organization,
            "user": self.simple_user(row["login"], base_url),
        }

    def team_membership_view(self, row: Document, base_url: str) -> Document:
        """Show a team membership."""
        team: Document = self.store.find("teams", row["team"]) or {}
        url = f"{base_url}/organizations/{team['org']}/team/{team['id']}/memberships/{row['login']}"
        return {"url": url, "role": row["role"], "state": row["state"]}

    def invitation_view(self, row: Document, base_url: str) -> Document:
        """Show an invitation to the organization."""
        failed: Document = {
            name: row[name] for name in ("failed_at", "failed_reason") if name in row
        }
        return {
            "id": row["id"],
            "node_id": views.node_id("OrganizationInvitation", row["id"]),
            "login": row["login"],
            "email": row["email"],
            "role": row["role"],
            "created_at": row["created_at"],
            **failed,
            "inviter": self.simple_user(row["inviter"], base_url),
            "team_count": len(row["teams"]),
            "invitation_teams_url": f"{base_url}/orgs/{row['org']}/invitations/{row['id']}/teams",
            "invitation_source": "member",
        }

    def repository_invitation_view(
        self, row: Document, inviter: Credential, base_url: str
    ) -> Document:
        """Show an invitation to a repository."""
        repository: Document = self.store.find("repositories", row["repository"]) or {}
        owner = self.simple_user(repository["owner"], base_url)
        permissions = {"pull": "read", "push": "write"}
        return {
            "id": row["id"],
            "node_id": views.node_id("RepositoryInvitation", row["id"]),
            "repository": views.minimal_repository(repository, owner, base_url),
            "invitee": self.simple_user(row["login"], base_url),
            "inviter": self.simple_user(inviter.subject or "acme-owner", base_url),
            "permissions": permissions.get(row["permission"], row["permission"]),
            "created_at": row["created_at"],
            "url": f"{base_url}/user/repository_invitations/{row['id']}",
            "html_url": f"https://github.com/{row['repository']}/invitations",
            "expired": False,
        }


def _answers(invitation: Document) -> tuple[RowAct, ...]:
    """What the invited person can do; an address that accepts becomes a user of the same name."""
    if invitation["state"] != "pending":
        return ()
    who = str(invitation["login"] or invitation["email"])
    name = {} if invitation["login"] else {"username": who.partition("@")[0].replace(".", "")}
    return (
        RowAct(label="Accept", action="accept_invitation", given={"who": who, **name}),
        RowAct(label="Let expire", action="expire_invitation", given={"who": who}),
    )
