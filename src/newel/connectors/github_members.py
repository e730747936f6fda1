"""One GitHub organization: who is in it, who is invited, and until when.

GitHub has no place for our mark, so whom a membership belongs to is known from the user name that
the person has given. It must therefore come from their own form or the HR record and stand in the
approval: a typo invites a stranger. One that the ledger has with somebody else is refused. A person
accepts an invitation by hand; until then the grant is prepared, and repositories are granted only
afterwards.
Source: connectors document, §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import ClassVar, Final, Literal, TypeVar, Unpack

from newel.base.errors import (
    DefinitionError,
    Forbidden,
    NoCapacity,
    StepError,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Holding, Outside, all_of
from newel.connectors.contract import Shape
from newel.connectors.ensure import Ensured, ensured, removed
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.github_app import AppCredential, GitHubApp
from newel.connectors.github_contract import (
    END_MEMBERSHIP,
    INVITATION_LISTS,
    INVITATIONS,
    INVITE,
    INVITED_PER_DAY,
    LIMITS,
    MEMBERS,
    MEMBERSHIP,
    MEMBERSHIPS,
    ORG,
    ORGANIZATIONS,
    READ,
    SET_MEMBERSHIP,
    TEAM_LISTS,
    TEAM_MEMBERS,
    TEAMS,
    USERS,
    WRITE,
    Invitation,
    Membership,
    Team,
    judged,
    limits,
    next_page,
    notes_on,
    seats_of,
)
from newel.connectors.operation import operation
from newel.connectors.owning import IN_LEDGER, Owned, evidence_of
from newel.connectors.paging import pages
from newel.connectors.room import Room
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["GitHubMembers"]

Role = Literal["member", "admin"]
Standing = Literal["open", "active", "over"]
T = TypeVar("T")

SETTLE: Final = (0, 5, 15)
GONE: Final = HTTPStatus.NOT_FOUND
NEEDS_READ: Final = "members:read|members:write"
NEEDS_WRITE: Final = "members:write"
NEEDS_REPOSITORY: Final = "administration:write"
INVITING: Final = "github.invitations"
MANAGING: Final = "github.enterprise_managed"
MANAGED: Final = "are managed by an enterprise: they come by SCIM from the identity provider"
_LARGEST_PAGE: Final = "100"
_LISTING_LASTS: Final = timedelta(seconds=60)
IS_MEMBER: Final = "member"
_BY_NAME: Final = "user name"


class GitHubMembers(Connector):
    """The organization's members and invitations; `GitHub` adds teams and repositories."""

    title = "GitHub"
    buckets: ClassVar = (
        Bucket(name=READ, rate=4000 / 3600, capacity=200),
        Bucket(name=WRITE, rate=1 / 1.2, capacity=1),
        Bucket(name=INVITE, rate=400 / 86400, capacity=400),
    )

    def __init__(
        self,
        *,
        org: str,
        token: SecretRef | None = None,
        app: GitHubApp | None = None,
        name: str = "github",
        base_url: str = "https://api.github.com",
        api_version: str = "2022-11-28",
        short_code: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for a fine-grained token of an owner, or for an App of the organization.

        short_code: of the enterprise that manages the organization's people, if one does; it ends
        their user names, and nobody is invited then.

        Raises DefinitionError unless exactly one of the two is given.
        """
        if (token is None) == (app is None):
            raise DefinitionError(
                f"The connector `{name}` needs one credential, a token or an App.",
                fix='`token=SecretRef("env:GITHUB_TOKEN")`, or `app=GitHubApp(…)`.',
            )
        self._app = None if app is None else AppCredential(app)
        secret = token if app is None else app.key
        assert secret is not None
        super().__init__(
            name=name,
            secret=secret,
            credential=self._app or BearerCredential(secret),
            addresses={"": base_url},
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": api_version,
            },
            request_id=("x-github-request-id",),
            **outside,
        )
        self.org = org
        self.short_code = short_code
        self._listing: tuple[datetime | None, frozenset[str]] = (None, frozenset())
        self._lister: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None

    @property
    def is_managed(self) -> bool:
        """Whether an enterprise manages the organization's people."""
        return bool(self.short_code)

    def forget(self) -> None:
        """Drop the listing of invitations."""
        self._listing = (None, frozenset())

    async def probe(self) -> None:
        """Ask for the rate limit, which costs none of it."""
        await self.http.call(LIMITS)

    async def check(self) -> Check:
        """Prove the credential, the organization and what may be done there.

        An App is told its permissions; a classic token its scopes. A fine-grained token shows
        that it may not change anything only when it tries, which is said in a note. That people
        are managed shows in the names of those who are in already.
        """
        answer = await self.http.call(LIMITS)
        found = ORGANIZATIONS.read(await self.http.call(ORG, {"org": self.org}))
        seats = seats_of(found)
        notes = notes_on(found, self.clock.now())
        have, is_proved = self._permissions(answer)
        if not is_proved:
            have = await self._seen()
            notes = (*notes, "Whether this token may change members shows at the first change.")
        if self.is_managed:
            notes = (*notes, f"The organization's people {MANAGED}.")
        needs = (NEEDS_READ, NEEDS_WRITE, NEEDS_REPOSITORY) if is_proved else (NEEDS_READ,)
        missing = tuple(need.partition("|")[0] for need in all_of(needs, have))
        return Check(
            ok=not missing,
            identity=found.login,
            have=have,
            missing=missing,
            capabilities=await self._proved(have, is_told=is_proved),
            quota="" if seats is None else f"{seats.used} of {seats.most} seats in use",
            notes=notes,
        )

    async def _proved(self, have: Collection[str], *, is_told: bool) -> tuple[str, ...]:
        """Give what plan and token can do; is_told: whether `have` is all that the token may."""
        if self.is_managed:
            query = {"per_page": _LARGEST_PAGE}
            members = USERS.read(await self.http.call(MEMBERS, {"org": self.org}, query=query))
            is_managed = any(each.login.endswith(f"_{self.short_code}") for each in members)
            return (MANAGING,) if is_managed else ()
        need = NEEDS_WRITE if is_told else NEEDS_READ
        return () if all_of((need,), have) else (INVITING,)

    async def capacity(self) -> tuple[Room, ...]:
        """Read the seats of the organization, which are told to its owners."""
        found = ORGANIZATIONS.read(await self.http.call(ORG, {"org": self.org}))
        seats = seats_of(found)
        return () if seats is None else (seats,)

    def _permissions(self, answer: Answer) -> tuple[tuple[str, ...], bool]:
        """Give the permissions, and whether the credential has told them all."""
        if self._app is not None:
            return tuple(f"{name}:{kind}" for name, kind in self._app.permissions.items()), True
        classic = answer.headers.get("x-oauth-scopes")
        if classic is None:
            return (), False
        scopes = {scope.strip() for scope in classic.split(",")}
        found = (
            ("members:write", {"admin:org", "write:org"}),
            ("members:read", {"read:org"}),
            ("administration:write", {"repo"}),
        )
        return tuple(name for name, signs in found if signs & scopes), True

    async def _seen(self) -> tuple[str, ...]:
        """Prove that members can be seen, by looking."""
        query = {"per_page": "1"}
        try:
            await self.http.call(INVITATIONS, {"org": self.org}, query=query)
        except Forbidden:
            return ()
        return ("members:read",)

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give everybody in the organization with their teams, and who is invited to it.

        Owners hold the organization itself. One request for each team; who is in a team below
        another is in both.
        """
        path, base = {"org": self.org}, (self.base_entitlement,)
        held: defaultdict[int, list[str]] = defaultdict(list)
        async for team in self.teams():
            async for user in self.listed(TEAM_MEMBERS, USERS, {**path, "slug": team.slug}):
                held[user.id].append(f"{self.name}:team/{team.slug}")
        owners = {user.id async for user in self.listed(MEMBERS, USERS, path, role="admin")}
        async for user in self.listed(MEMBERS, USERS, path):
            account = Account(
                system=self.name,
                id=str(user.id),
                handle=user.login,
                url=f"https://github.com/{user.login}",
            )
            more = (f"{self.name}:org",) if user.id in owners else ()
            teams = sorted(held[user.id])
            yield Holding(account=account, entitlements=(*base, *more, *teams))
        async for invitation in self.listed(INVITATIONS, INVITATION_LISTS, path):
            yield Holding(account=self._invited(invitation), entitlements=base)

    async def listed(
        self, route: Route, shape: Shape[tuple[T, ...]], path: Mapping[str, object], **query: str
    ) -> AsyncIterator[T]:
        """Give all entries of a listing, page by page; links must stay on GitHub's own host."""

        async def read(url: str) -> tuple[tuple[T, ...], str | None]:
            if url:
                answer = await self.http.call(route, path, url=url)
            else:
                asked = {"per_page": _LARGEST_PAGE, **query}
                answer = await self.http.call(route, path, query=asked)
            return shape.read(answer), next_page(answer)

        async for page in pages(route.operation, read, ""):
            for entry in page:
                yield entry

    # Membership --------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        needs=(NEEDS_READ,),
        reads=(MEMBERSHIP.operation,),
        natural_key="org/{username}",
        bucket=READ,
        title="Look up GitHub membership",
    )
    async def find(self, username: str) -> Account | None:
        """Look a user up in the organization; None if they are neither member nor invited."""
        found = await self._membership(username)
        return None if found is None else self._account(username, found)

    @operation(
        natural_key="org/{username}",
        idempotency="put",
        path="admin_api",
        grants="{system}:account",
        undo="remove_member",
        reversible="with_loss",
        sends_email="person",
        bucket=INVITE,
        needs=(NEEDS_WRITE,),
        spec=(SET_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        title="Invite to the GitHub organization",
    )
    async def ensure_member(self, person: Person, username: str) -> Account:
        """Make them a member, or find that they are one; a new member is invited first."""
        reached = await ensured(
            look=lambda: self._own(person, username),
            ours=evidence_of,
            create=lambda: self._set_membership(username, "member"),
            settling=self.settling(*SETTLE),
            what="GitHub membership",
        )
        account = self._account(username, reached.value.value)
        access: Access = "active" if account.state == "active" else "prepared"
        return self.reported(reached, account, access=access)

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=(NEEDS_READ,),
        reads=(INVITATIONS.operation, MEMBERSHIP.operation),
        natural_key="org/{username}",
        bucket=READ,
        title="See whether the GitHub invitation is accepted",
    )
    async def accepted(self, person: Person, username: str) -> bool:
        """Say whether they are an active member by now.

        Raises Forbidden(blocked) if the invitation is gone: it lasts seven days, or was declined.
        """
        state = await self._state(person, username)
        if state == "over":
            raise over(MEMBERSHIP.operation)
        return state == "active"

    @operation(
        idempotency="read",
        grants="{system}:account",
        needs=(NEEDS_READ,),
        reads=(INVITATIONS.operation, MEMBERSHIP.operation),
        natural_key="org/{username}",
        bucket=READ,
        title="See what became of the GitHub invitation",
    )
    async def standing(self, person: Person, username: str) -> Standing:
        """Say what became of their invitation; `over`: it has expired, or was declined.

        For processes that invite again by themselves; `accepted` leaves that to a person.
        """
        return await self._state(person, username)

    async def _state(self, person: Person, username: str) -> Standing:
        """Look at the open invitations, all at once for everybody who waits, then at the person."""
        if username.lower() in await self._pending():
            return "open"
        own = await self._own(person, username)
        if own is None:
            return "over"
        if own.value.state != "active":
            return "open"
        account = self._account(username, own.value)
        self.reported(Ensured(own, changed=True, evidence="accepted by the person"), account)
        return "active"

    async def _pending(self) -> frozenset[str]:
        """Give the users with an open invitation, as they were within the last minute.

        Thirty people who wait cost one listing, not thirty look-ups; who accepts is seen a
        minute later at most.
        """
        async with self._turn():
            now = self.clock.now()
            read_at, logins = self._listing
            if read_at is None or not timedelta(0) <= now - read_at < _LISTING_LASTS:
                path = {"org": self.org}
                found = [each async for each in self.listed(INVITATIONS, INVITATION_LISTS, path)]
                logins = frozenset(each.login.lower() for each in found if each.login)
                self._listing = (now, logins)
            return logins

    def _turn(self) -> asyncio.Lock:
        """Give the lock of this event loop: who comes second finds what the first has read."""
        loop = asyncio.get_running_loop()
        if self._lister is None or self._lister[0] is not loop:
            self._lister = (loop, asyncio.Lock())
        return self._lister[1]

    @operation(
        natural_key="org/{username}",
        idempotency="put",
        revokes="{system}:account",
        undo="ensure_member",
        reversible="with_loss",
        sends_email="person",
        bucket=WRITE,
        needs=(NEEDS_WRITE,),
        spec=(END_MEMBERSHIP.operation,),
        reads=(MEMBERSHIP.operation,),
        settle=SETTLE,
        title="Remove from the GitHub organization",
    )
    async def remove_member(self, person: Person, username: str) -> Account:
        """End membership or invitation; private forks are lost."""
        reached = await removed(
            look=lambda: self._own(person, username),
            ours=evidence_of,
            remove=lambda _: self._end(END_MEMBERSHIP, username),
            settling=self.settling(*SETTLE),
            what="GitHub membership",
        )
        account = Account(system=self.name, id="", handle=username, state="absent")
        return self.reported(reached, account, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _own(self, person: Person, username: str) -> Owned[Membership] | None:
        """Find the membership of their user name; raises OwnershipConflict if it is another's."""
        found = await self._membership(username)
        if found is None:
            return None
        bound = await self.bound(person, self._account(username, found))
        return Owned(found, _BY_NAME if bound is None else IN_LEDGER)

    async def _membership(self, username: str) -> Membership | None:
        path = {"org": self.org, "username": username}
        answer = await self.http.call(MEMBERSHIP, path, expect=(GONE,))
        return None if answer.status == GONE else MEMBERSHIPS.read(answer)

    async def _set_membership(self, username: str, role: Role) -> Owned[Membership]:
        path = {"org": self.org, "username": username}
        try:
            answer = await self.http.call(SET_MEMBERSHIP, path, body={"role": role})
        except NoCapacity as full:
            raise self._dated(full) from None
        return Owned(MEMBERSHIPS.read(answer), _BY_NAME)

    def teams(self) -> AsyncIterator[Team]:
        """List the organization's teams."""
        return self.listed(TEAMS, TEAM_LISTS, {"org": self.org})

    def _dated(self, full: NoCapacity) -> NoCapacity:
        """Say when a spent day of invitations returns."""
        if full.what == INVITED_PER_DAY:
            full.until = self.clock.now() + timedelta(days=1)
        return full

    async def _end(self, route: Route, username: str, **more: str) -> None:
        path = {"org": self.org, "username": username, **more}
        await self.http.call(route, path, expect=(GONE,))

    def _invited(self, found: Invitation) -> Account:
        handle = found.login or found.email or ""
        return Account(
            system=self.name,
            id="",
            handle=handle,
            email=found.email or "",
            state="active" if found.role == IS_MEMBER else "invited",
            url=f"https://github.com/orgs/{self.org}/people/pending_invitations",
        )

    def _account(self, username: str, found: Membership) -> Account:
        user = found.user
        return Account(
            system=self.name,
            id=str(user.id) if user else "",
            handle=user.login if user else username,
            state="active" if found.state == "active" else "invited",
            url=f"https://github.com/{username}",
        )

    def _member(self, username: str, *, is_active: bool) -> Account:
        return Account(
            system=self.name,
            id="",
            handle=username,
            state="active" if is_active else "invited",
            url=f"https://github.com/{username}",
        )

    # Answers -----------------------------------------------------------------------------------

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of GitHub."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this hour."""
        return limits(answer)


def by_name(_: object) -> str:
    """Nothing but the user name tells whose it is; see the module's text."""
    return _BY_NAME


def over(route: str) -> Forbidden:
    """Make the refusal of a membership that ended before it began; `route`: what was asked."""
    return Forbidden(
        "There is no membership and no open invitation any more: it has expired or was "
        "declined. Invite them again, then retry.",
        reason="blocked",
        operation=route,
    )
