"""An Atlassian organization: people are locked out of all its sites at once, and let in again.

Jira itself can only remove an account, with its groups. Suspending is the organization's, has a
key of its own, and so limits, outages and a check of its own. What is suspended is the access to
Jira: grants are those of the Jira connector that this one belongs to.
Source: connectors document, §13; https://developer.atlassian.com/cloud/admin (read 2026-11-29).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, ClassVar, Final, Unpack

from newel.base.errors import Forbidden, Invalid, StepError, Throttled
from newel.base.secrets import SecretRef
from newel.connectors.answers import (
    Answer,
    Route,
    facts_of,
    judged_by_status,
    retry_after,
    sanitised,
)
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Outside
from newel.connectors.contract import Shape, named
from newel.connectors.ensure import ensured, removed
from newel.connectors.gate import Bucket
from newel.connectors.operation import operation
from newel.domain.values import Account

__all__ = ["Atlassian"]

API: Final = "atlassian.api"
_USER: Final = "/admin/v1/orgs/{org}/directory/users/{account}"
_LIFE: Final = "/users/{account}/manage"

ORGANIZATION: Final = Route("getOrgById", "GET", "/admin/v1/orgs/{org}", API)
USERS: Final = Route("getDirectoryUsers", "GET", "/admin/v2/orgs/{org}/directories/-/users", API)
SUSPEND: Final = Route("suspendUser", "POST", f"{_USER}/suspend-access", API, repeatable=True)
RESTORE: Final = Route("restoreUser", "POST", f"{_USER}/restore-access", API, repeatable=True)
PROFILE: Final = Route("getManagedProfile", "GET", f"{_LIFE}/profile", API)
DISABLE: Final = Route("disableUser", "POST", f"{_LIFE}/lifecycle/disable", API, repeatable=True)
ENABLE: Final = Route("enableUser", "POST", f"{_LIFE}/lifecycle/enable", API, repeatable=True)
_NEEDS: Final = ("organization admin API key",)
_SETTLE: Final = (0, 5, 15)
_GONE: Final = HTTPStatus.NOT_FOUND


@dataclass(frozen=True)
class _User:
    """A user as the organization sees them."""

    account_id: Annotated[str, named("accountId")]
    membership: Annotated[str, named("membershipStatus")]


@dataclass(frozen=True)
class _Profile:
    account_id: str
    account_status: str


_ORGANIZATIONS: Final = Shape(str, at="data.attributes.name")
_USERS: Final = Shape(tuple[_User, ...], at="data")
_MANAGED: Final = Shape(_Profile, at="account")


class Atlassian(Connector):
    """One Atlassian organization, standing behind one Jira connector."""

    title = "Atlassian"
    buckets: ClassVar = (Bucket(name=API, rate=5, capacity=10),)

    def __init__(
        self,
        *,
        organization: str,
        key: SecretRef,
        of: str = "jira",
        managed: bool = False,
        name: str = "atlassian",
        base_url: str = "https://api.atlassian.com",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for an organization's id and its API key (one without scopes).

        of: name of the Jira connector whose access this is. managed: the accounts belong to
        the company's verified domain, so that the whole account is disabled, not only its access.
        """
        super().__init__(
            name=name,
            secret=key,
            credential=BearerCredential(key),
            addresses={"": base_url},
            request_id=("atl-traceid",),
            **outside,
        )
        self.access_system = of
        self.organization = organization
        self._is_managed = managed

    async def probe(self) -> None:
        """Ask for the organization."""
        await self.http.call(ORGANIZATION, {"org": self.organization})

    async def check(self) -> Check:
        """Prove the key by reading the organization and one of its users."""
        answer = await self.http.call(
            ORGANIZATION, {"org": self.organization}, expect=(_GONE, HTTPStatus.FORBIDDEN)
        )
        if answer.status != HTTPStatus.OK:
            return Check(ok=False, missing=_NEEDS, notes=("The key is of another organization.",))
        name = _ORGANIZATIONS.read(answer)
        try:
            await self.http.call(USERS, {"org": self.organization}, query={"limit": "1"})
        except Forbidden:
            note = "A key with scopes cannot see users: make one without."
            return Check(ok=False, identity=name, missing=_NEEDS, notes=(note,))
        return Check(ok=True, identity=name, have=_NEEDS)

    @operation(
        natural_key="user/{account.id}",
        idempotency="put",
        revokes="{system}:account",
        undo="restore",
        reversible="yes",
        bucket=API,
        needs=_NEEDS,
        spec=(SUSPEND.operation, DISABLE.operation),
        reads=(USERS.operation, PROFILE.operation),
        settle=_SETTLE,
        title="Suspend the Atlassian account",
    )
    async def suspend(self, account: Account) -> Account:
        """Lock them out; groups stay, and the licence is free again."""
        reached = await removed(
            look=lambda: self._active(account),
            ours=lambda _: "account id",
            remove=lambda _: self._switch(account, DISABLE if self._is_managed else SUSPEND),
            settling=self.settling(*_SETTLE),
            what="access to Atlassian",
        )
        return self.reported(reached, self._shown(account, "suspended"), access="suspended")

    @operation(
        natural_key="user/{account.id}",
        idempotency="put",
        grants="{system}:account",
        undo="suspend",
        reversible="yes",
        bucket=API,
        needs=_NEEDS,
        spec=(RESTORE.operation, ENABLE.operation),
        reads=(USERS.operation, PROFILE.operation),
        settle=_SETTLE,
        title="Restore the Atlassian account",
    )
    async def restore(self, account: Account) -> Account:
        """End a suspension; groups are as they were."""
        reached = await ensured(
            look=lambda: self._active(account),
            ours=lambda _: "account id",
            create=lambda: self._restored(account),
            settling=self.settling(*_SETTLE),
            what="access to Atlassian",
        )
        return self.reported(reached, self._shown(account, "active"))

    async def _active(self, account: Account) -> str | None:
        """Give the account's id if it may come in; None if it is locked out or not there."""
        if self._is_managed:
            answer = await self.http.call(PROFILE, {"account": account.id}, expect=(_GONE,))
            if answer.status == _GONE:
                return None
            profile = _MANAGED.read(answer)
            return profile.account_id if profile.account_status == "active" else None
        path, query = {"org": self.organization}, {"accountIds": account.id}
        found = _USERS.read(await self.http.call(USERS, path, query=query))
        mine = [user for user in found if user.account_id == account.id]
        return account.id if mine and mine[0].membership == "active" else None

    async def _restored(self, account: Account) -> str:
        await self._switch(account, ENABLE if self._is_managed else RESTORE)
        return account.id

    async def _switch(self, account: Account, route: Route) -> None:
        path = {"org": self.organization, "account": account.id}
        body = {"message": "By newel."} if route is DISABLE else None
        await self.http.call(route, path, body=body)

    def _shown(self, account: Account, state: str) -> Account:
        return Account(
            system=self.access_system,
            id=account.id,
            handle=account.handle,
            email=account.email,
            state="active" if state == "active" else "suspended",
            url=account.url,
        )

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of the organization."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return judged_by_status(answer)
        said, facts = _said(answer.document), facts_of(answer)
        match answer.status:
            case 403:
                text = f"The key may not do this: {said} It needs to be an {_NEEDS[0]}."
                return Forbidden(text, missing=_NEEDS[0], **facts)
            case 404 if answer.route.is_mutating:
                fields = {"account": "is not known in the organization"}
                return Invalid(f"There is no such account: {said}", fields=fields, **facts)
            case 429:
                return Throttled("Atlassian asks for fewer calls.", **facts, **retry_after(answer))
            case _:
                return judged_by_status(answer, said=said)


def _said(document: object) -> str:
    """Give the vendor's sentence, redacted; its two interfaces word errors differently."""
    if not isinstance(document, dict):
        return ""
    listed = document.get("errors")
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):
        return sanitised(listed[0].get("detail") or listed[0].get("title"))
    return sanitised(document.get("message") or document.get("errorDetail"))
