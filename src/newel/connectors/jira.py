"""Jira Cloud: accounts, groups and issues; escalation tickets are in `trackers.jira`.

Searching without the permission to browse answers 200 with an empty list, which a look-up would
take for "absent" and create a second account. So nothing is searched before the permission was
proved on this credential within a day.
Source: connectors document, §13.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final, Unpack

from newel.base.errors import Forbidden, Invalid, OwnershipConflict, StepError
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import BasicCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.ensure import Exists, ensured, removed
from newel.connectors.gate import Bucket, LimitHeaders
from newel.connectors.jira_contract import (
    API,
    BROWSE_PROJECTS,
    BROWSE_USERS,
    CREATE_ISSUE,
    CREATE_USER,
    CREATED,
    FIND_USERS,
    GROUP_LISTS,
    GROUP_PAGES,
    GROUPS,
    HITS,
    JOIN_GROUP,
    LEAVE_GROUP,
    ME,
    MINE,
    MYSELF,
    ONE_USER,
    PERMISSION_NAMES,
    PERMISSIONS,
    REMOVE_USER,
    SEARCH,
    USER_GROUPS,
    USER_SEARCH,
    USERS,
    User,
    document_of,
    judged,
    limits,
)
from newel.connectors.looking import report
from newel.connectors.operation import operation
from newel.domain.people import Person
from newel.domain.values import Account, Effect
from newel.flow.context import ATTEMPT

__all__ = ["Issue", "Jira"]

_PROOF_LASTS: Final = timedelta(hours=24)
_ACCOUNTS_SETTLE: Final = (0, 5)
_SEARCH_SETTLES: Final = (0, 20, 60)
_MARK: Final = "newel.key"


@dataclass(frozen=True, kw_only=True)
class Issue:
    """An issue: its key as people read it, and where they can read it."""

    system: str
    id: str
    key: str
    url: str


class Jira(Connector):
    """One Jira Cloud site: accounts, groups, issues."""

    title = "Jira"
    buckets: ClassVar = (
        Bucket(name=API, rate=10, capacity=20),
        Bucket(name=USER_SEARCH, rate=1, capacity=5),
    )

    def __init__(
        self,
        *,
        email: str,
        token: SecretRef,
        base_url: str,
        site_url: str | None = None,
        name: str = "jira",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an account's e-mail address and API token.

        base_url: the site, or `https://api.atlassian.com/ex/jira/{cloudId}` for scoped tokens.
        site_url: where people open issues, if that is another address.
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
        self._proved: dict[str, datetime] = {}

    async def probe(self) -> None:
        """Ask who we are."""
        await self.http.call(MYSELF)

    async def check(self) -> Check:
        """Prove credential and permissions; without permission searches would lie."""
        me = ME.read(await self.http.call(MYSELF))
        have = await self._permissions(tuple(PERMISSION_NAMES))
        missing = tuple(f"{key} ({PERMISSION_NAMES[key]})" for key in have if not have[key])
        return Check(
            ok=not missing,
            identity=me.display_name,
            have=tuple(key for key in have if have[key]),
            missing=missing,
        )

    # Accounts ----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="user/{person.email}",
        needs=("USER_PICKER",),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        bucket=USER_SEARCH,
        title="Look up the Jira account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account with the person's work address; None if there is none.

        Raises Forbidden if the credential cannot see users: nothing found would prove nothing.
        """
        found = await self._user(person)
        return None if found is None else self._account(person, found)

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        grants="{system}:account",
        undo="remove_account",
        reversible="with_loss",
        sends_email="person",
        bucket=API,
        needs=("USER_PICKER", "ADMINISTER"),
        spec=(CREATE_USER.operation,),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        settle=_ACCOUNTS_SETTLE,
        title="Create the Jira account",
    )
    async def ensure_account(
        self, person: Person, *, products: tuple[str, ...] = ("jira-software",)
    ) -> Account:
        """Invite them with access to products, or find that they have an account."""
        reached = await ensured(
            look=lambda: self._user(person),
            ours=_by_address,
            create=lambda: self._create_user(person, products),
            settling=self.settling(*_ACCOUNTS_SETTLE),
            what="Jira account",
        )
        return self.reported(reached, self._account(person, reached.value))

    @operation(
        natural_key="user/{person.email}",
        idempotency="natural",
        revokes="{system}:account",
        undo="ensure_account",
        reversible="with_loss",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(REMOVE_USER.operation,),
        reads=(PERMISSIONS.operation, FIND_USERS.operation),
        settle=_ACCOUNTS_SETTLE,
        title="Remove the Jira account",
    )
    async def remove_account(self, person: Person) -> Account:
        """Remove them from the site; the Atlassian account itself survives."""
        reached = await removed(
            look=lambda: self._user(person),
            ours=_by_address,
            remove=self._remove_user,
            settling=self.settling(*_ACCOUNTS_SETTLE),
            what="Jira account",
        )
        gone = Account(
            system=self.name,
            id=reached.value.account_id if reached.value else "",
            handle=person.email,
            email=person.email,
            state="absent",
        )
        return self.reported(reached, gone, access="revoked")

    # Groups ------------------------------------------------------------------------------------

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="natural",
        grants="{system}:group/{group}",
        undo="leave_group",
        reversible="yes",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(JOIN_GROUP.operation,),
        reads=(GROUPS.operation, USER_GROUPS.operation),
        title="Add to the Jira group",
    )
    async def join_group(self, account: Account, group: str) -> Account:
        """Put an account into a group, by the group's name."""
        reached = await ensured(
            look=lambda: self._in_group(account, group),
            ours=lambda _: "account id",
            create=lambda: self._join(account, group),
            settling=self.settling(0),
            what="group membership",
        )
        return self.reported(reached, account)

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="natural",
        revokes="{system}:group/{group}",
        undo="join_group",
        reversible="yes",
        bucket=API,
        needs=("USER_PICKER", "SITE_ADMIN"),
        spec=(LEAVE_GROUP.operation,),
        reads=(GROUPS.operation, USER_GROUPS.operation),
        title="Take out of the Jira group",
    )
    async def leave_group(self, account: Account, group: str) -> Account:
        """Take an account out of a group, by the group's name."""
        reached = await removed(
            look=lambda: self._in_group(account, group),
            ours=lambda _: "account id",
            remove=lambda group_id: self._leave(account, group_id),
            settling=self.settling(0),
            what="group membership",
        )
        return self.reported(reached, account, access="revoked")

    # Issues ------------------------------------------------------------------------------------

    @operation(
        idempotency="marker",
        undo="none: an issue is closed, not unmade",
        reversible="no",
        bucket=API,
        needs=("BROWSE_PROJECTS", "CREATE_ISSUES"),
        spec=(CREATE_ISSUE.operation,),
        reads=(PERMISSIONS.operation, SEARCH.operation),
        settle=_SEARCH_SETTLES,
        title="Create a Jira issue",
    )
    async def create_issue(
        self, project: str, title: str, text: str, *, issue_type: str = "Task"
    ) -> Issue:
        """Create one issue for this act, found again by its mark after a lost answer."""
        mark = _mark_of(project, title)
        reached = await ensured(
            look=lambda: self.search(project, mark, _MARK, mark),
            ours=lambda _: "marker",
            create=lambda: self._create_issue(project, title, text, issue_type, mark),
            settling=self.settling(*_SEARCH_SETTLES),
            what="issue",
        )
        report(
            Effect(
                changed=reached.changed,
                external_id=reached.value.id,
                account=reached.value.key,
                evidence=reached.evidence,
            )
        )
        return reached.value

    # What trackers use, too --------------------------------------------------------------------

    async def search(self, project: str, label: str, mark: str, value: str) -> Issue | None:
        """Find the oldest issue with a label whose property `mark` has this value, or is unset."""
        found = await self.marked(project, label, mark, value)
        return found[0] if found else None

    async def marked(self, project: str, label: str, mark: str, value: str) -> list[Issue]:
        """Find all issues with a label and a property `mark` of this value, the oldest first."""
        await self.prove(BROWSE_PROJECTS)
        query = {
            "jql": f'project = "{project}" AND labels = "{label}" ORDER BY created ASC',
            "fields": "labels",
            "properties": mark,
            "maxResults": "50",
        }
        hits = HITS.read(await self.http.call(SEARCH, query=query)).issues
        mine = [hit for hit in hits if (hit.properties or {}).get(mark, value) == value]
        return [self.issue(hit.id, hit.key) for hit in sorted(mine, key=lambda hit: int(hit.id))]

    async def create(self, project: str, fields: dict[str, object], mark: str, value: str) -> Issue:
        """Create an issue that carries its mark from the first moment."""
        body = {
            "fields": {"project": {"key": project}, **fields},
            "properties": [{"key": mark, "value": value}],
        }
        made = CREATED.read(await self.http.call(CREATE_ISSUE, body=body))
        return self.issue(made.id, made.key)

    def issue(self, number: str, key: str) -> Issue:
        """Give an issue with the address people open it at."""
        return Issue(system=self.name, id=number, key=key, url=f"{self.site_url}/browse/{key}")

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

    # Requests ----------------------------------------------------------------------------------

    async def _permissions(self, keys: tuple[str, ...]) -> dict[str, bool]:
        answer = await self.http.call(PERMISSIONS, query={"permissions": ",".join(keys)})
        mine = MINE.read(answer).permissions
        return {key: key in mine and mine[key].has for key in keys}

    async def _user(self, person: Person) -> User | None:
        """Find the one user with this address; where addresses are hidden, the only hit."""
        await self.prove(BROWSE_USERS)
        answer = await self.http.call(FIND_USERS, query={"query": person.email})
        hits = USERS.read(answer)
        exact = [user for user in hits if user.email.lower() == person.email.lower()]
        hidden = [user for user in hits if not user.email]
        found = exact or hidden
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one account may be theirs: their addresses are hidden.",
                evidence=f"{len(found)} hits",
            )
        return found[0] if found else None

    async def _create_user(self, person: Person, products: tuple[str, ...]) -> User:
        body = {
            "emailAddress": person.email,
            "displayName": person.name,
            "products": list(products),
        }
        return ONE_USER.read(await self.http.call(CREATE_USER, body=body))

    async def _remove_user(self, user: User) -> None:
        await self.http.call(REMOVE_USER, query={"accountId": user.account_id}, expect=(404,))

    async def _in_group(self, account: Account, group: str) -> str | None:
        """Give the group's id if the account is in it."""
        await self.prove(BROWSE_USERS)
        answer = await self.http.call(USER_GROUPS, query={"accountId": account.id})
        return next(
            (each.group_id for each in GROUP_LISTS.read(answer) if each.name == group), None
        )

    async def _join(self, account: Account, group: str) -> str:
        page = GROUP_PAGES.read(await self.http.call(GROUPS, query={"groupName": group}))
        group_id = next((each.group_id for each in page.values if each.name == group), None)
        if group_id is None:
            raise Invalid("There is no such group.", fields={"group": "is not known"})
        try:
            await self.http.call(
                JOIN_GROUP, query={"groupId": group_id}, body={"accountId": account.id}
            )
        except Invalid as refused:
            if "already a member" in str(refused):
                raise Exists from refused
            raise
        return group_id

    async def _leave(self, account: Account, group_id: str) -> None:
        query = {"groupId": group_id, "accountId": account.id}
        try:
            await self.http.call(LEAVE_GROUP, query=query, expect=(404,))
        except Invalid as refused:
            if "not a member" not in str(refused):
                raise

    async def _create_issue(
        self, project: str, title: str, text: str, issue_type: str, mark: str
    ) -> Issue:
        fields: dict[str, object] = {
            "issuetype": {"name": issue_type},
            "summary": title,
            "description": document_of(text),
            "labels": ["newel", mark],
        }
        return await self.create(project, fields, _MARK, mark)

    def _account(self, person: Person, user: User) -> Account:
        return Account(
            system=self.name,
            id=user.account_id,
            handle=user.display_name or person.email,
            email=user.email or person.email,
            state="active" if user.active else "suspended",
            url=f"{self.site_url}/jira/people/{user.account_id}",
        )

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of Jira."""
        return judged(answer)

    @staticmethod
    def limits(answer: Answer) -> LimitHeaders | None:
        """Read how many calls are left."""
        return limits(answer)


def _by_address(_: object) -> str:
    """Jira holds no mark of ours; the work address was never anybody else's."""
    return "derived"


def _mark_of(project: str, title: str) -> str:
    """Give the label of this act: the same for every attempt of it."""
    attempting = ATTEMPT.get()
    seed = attempting.info.idempotency_key if attempting else f"{project}\0{title}"
    return f"newel-{hashlib.sha256(seed.encode()).hexdigest()[:16]}"
