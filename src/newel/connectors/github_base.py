"""The way to one GitHub organization: its credential, its check, and how its listings are read.

A fine-grained token of an owner or an App of the organization asks. An App is told its permissions
and a classic token its scopes; of a fine-grained one they show only when it tries.
Source: connectors document, §8 and §14; https://docs.github.com/rest (API version 2022-11-28).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from http import HTTPStatus
from typing import ClassVar, Final, TypeVar, Unpack

from newel.base.errors import DefinitionError, Forbidden, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer, Route
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside, all_of
from newel.connectors.contract import Shape
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.github_app import AppCredential, GitHubApp
from newel.connectors.github_contract import (
    INVITATIONS,
    INVITE,
    LIMITS,
    MEMBERS,
    ORG,
    ORGANIZATIONS,
    READ,
    TEAM_LISTS,
    TEAMS,
    USERS,
    WRITE,
    Team,
    judged,
    limits,
    next_page,
    notes_on,
    seats_of,
)
from newel.connectors.paging import pages
from newel.connectors.room import Room

__all__ = ["GitHubBase"]

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


class GitHubBase(Connector):
    """One GitHub organization, without its operations."""

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

    @property
    def is_managed(self) -> bool:
        """Whether an enterprise manages the organization's people."""
        return bool(self.short_code)

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

    # Listings ----------------------------------------------------------------------------------

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

    def teams(self) -> AsyncIterator[Team]:
        """List the organization's teams."""
        return self.listed(TEAMS, TEAM_LISTS, {"org": self.org})

    # Answers -----------------------------------------------------------------------------------

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of GitHub."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many requests are left in this hour."""
        return limits(answer)
