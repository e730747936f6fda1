"""One Jira Cloud site: how it is signed in to, and what may be done there.

Searching without the permission to browse answers 200 with an empty list, which a look-up would
take for "absent" and create a second account. So nothing is searched before the permission was
proved on this credential within a day.
Source: connectors document, §13.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final, Unpack

from newel.base.errors import Forbidden, Invalid, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import BasicCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.jira_answers import judged, limits
from newel.connectors.jira_contract import (
    API,
    ISSUE_FIELD_PAGES,
    ISSUE_FIELDS,
    ISSUE_TYPE_PAGES,
    ISSUE_TYPES,
    ISSUE_WRITES,
    ME,
    MINE,
    MYSELF,
    PERMISSION_NAMES,
    PERMISSIONS,
    ROLE_LISTS,
    ROLES,
    SEATS,
    USER_SEARCH,
    IssueFieldPage,
)
from newel.connectors.paging import pages, place_after
from newel.connectors.room import Room

__all__ = ["JiraSite"]

ADMINISTERING: Final = "jira.administration"
_ADMINISTER: Final = "ADMINISTER"
_PROOF_LASTS: Final = timedelta(hours=24)
_WARNED_BEFORE: Final = timedelta(days=30)
# What every issue is created with; who reports it, Jira knows.
_SENT: Final = ("project", "issuetype", "summary", "description", "labels", "reporter")


class JiraSite(Connector):
    """The site, without its operations."""

    title = "Jira"
    buckets: ClassVar = (
        Bucket(name=API, rate=10, capacity=20),
        Bucket(name=USER_SEARCH, rate=1, capacity=5),
        Bucket(name=ISSUE_WRITES, rate=0.5, capacity=4),
    )

    def __init__(
        self,
        *,
        email: str,
        token: SecretRef,
        base_url: str,
        site_url: str | None = None,
        token_expires: datetime | None = None,
        administers: bool = True,
        name: str = "jira",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an account's e-mail address and API token.

        base_url: the site, or `https://api.atlassian.com/ex/jira/{cloudId}` for scoped tokens.
        site_url: where people open issues, if that is another address. token_expires: the aware
        moment that Atlassian showed when the token was made; it lasts a year at most.
        administers: whether the token is meant to create and remove accounts; else people do.
        """
        super().__init__(
            name=name,
            secret=token,
            credential=BasicCredential(email, token),
            addresses={"": base_url},
            request_id=("atl-traceid", "x-arequestid"),
            **outside,
        )
        self.site_url = (site_url or base_url).rstrip("/")
        self.token_expires = token_expires
        self._administers = administers
        self._proved: dict[str, datetime] = {}

    def declared_capabilities(self) -> Mapping[str, str]:
        """Creating and removing accounts, which only who administers the site may do."""
        why_not = "the connector is told not to administer Jira's accounts"
        return {ADMINISTERING: "" if self._administers else why_not}

    def forget(self) -> None:
        """Drop what was proved of permissions."""
        self._proved.clear()

    async def probe(self) -> None:
        """Ask who we are."""
        await self.http.call(MYSELF)

    async def check(
        self,
        *,
        project: str | None = None,
        issue_type: str = "Task",
        fields: Collection[str] = (),
    ) -> Check:
        """Prove credential and permissions; without permission searches would lie.

        project: prove the permissions there, and that issues of the type can be created with
        what newel sends: a title, a text, labels, and these further fields, by their ids.
        """
        me = ME.read(await self.http.call(MYSELF))
        have = await self._permissions(tuple(PERMISSION_NAMES), project)
        lacks = [key for key in have if not have[key]]
        if not self._administers and _ADMINISTER in lacks:
            lacks.remove(_ADMINISTER)
        missing = [f"{key} ({PERMISSION_NAMES[key]})" for key in lacks]
        if project is not None and not missing:
            missing += await self._lacks(project, issue_type, {*fields, *_SENT})
        return Check(
            ok=not missing,
            identity=me.display_name,
            have=tuple(key for key in have if have[key]),
            missing=tuple(missing),
            capabilities=(ADMINISTERING,) if have[_ADMINISTER] else (),
            expires_at=self.token_expires,
            notes=self._notes(),
        )

    async def capacity(self) -> tuple[Room, ...]:
        """Read the seats of each product; who does not administer the site is told nothing."""
        try:
            roles = ROLE_LISTS.read(await self.http.call(ROLES))
        except Forbidden:
            return ()
        return tuple(
            Room(what=SEATS, which=each.key, most=each.seats, used=each.seats - each.left)
            for each in roles
            if not each.is_unlimited
        )

    def _notes(self) -> tuple[str, ...]:
        """Say that the token ends soon; Atlassian says so to nobody but who has made it."""
        if self.token_expires is None:
            return ()
        left = self.token_expires - self.clock.now()
        if left > _WARNED_BEFORE:
            return ()
        when = self.token_expires.astimezone(UTC).date().isoformat()
        return (f"The API token ends on {when}: make a new one in time.",)

    async def _lacks(self, project: str, issue_type: str, sent: Collection[str]) -> list[str]:
        """Say what stands against an issue of a type: the type itself, or fields it insists on."""
        answer = await self.http.call(ISSUE_TYPES, {"project": project})
        types = {each.name: each.id for each in ISSUE_TYPE_PAGES.read(answer).issue_types}
        if issue_type not in types:
            return [f"issue type {issue_type} in {project}"]
        path: dict[str, object] = {"project": project, "type": types[issue_type]}

        async def read(seen: int) -> tuple[IssueFieldPage, int | None]:
            query = {"startAt": str(seen), "maxResults": "200"}
            page = ISSUE_FIELD_PAGES.read(await self.http.call(ISSUE_FIELDS, path, query=query))
            return page, place_after(seen, len(page.fields), page.total)

        return [
            f"a value for {each.name} ({each.id}), which {project} requires"
            async for page in pages(ISSUE_FIELDS.operation, read, 0)
            for each in page.fields
            if each.is_required and not each.has_default and each.id not in sent
        ]

    async def prove(self, permission: str) -> None:
        """Make sure that a search would see what there is; raises Forbidden naming the lack."""
        proved = self._proved.get(permission)
        if proved is not None and self.clock.now() - proved < _PROOF_LASTS:
            return
        have = await self._permissions((permission,))
        if not have.get(permission):
            name = PERMISSION_NAMES[permission]
            raise Forbidden(
                f"The account cannot search: it needs the permission {permission} ({name}). "
                "An empty answer would prove nothing.",
                missing=permission,
                operation=PERMISSIONS.operation,
            )
        self._proved[permission] = self.clock.now()

    async def _permissions(
        self, keys: tuple[str, ...], project: str | None = None
    ) -> dict[str, bool]:
        query = {"permissions": ",".join(keys)}
        if project is not None:
            query["projectKey"] = project
        answer = await self.http.call(PERMISSIONS, query=query, expect=(404,))
        if answer.status == 404:
            fields = {"project": "is not known, or this account may not see it"}
            raise Invalid(f"There is no project {project}.", fields=fields)
        mine = MINE.read(answer).permissions
        return {key: key in mine and mine[key].has for key in keys}

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Jira."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many calls are left."""
        return limits(answer)
