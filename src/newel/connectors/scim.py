"""Any directory that speaks SCIM 2.0: accounts and groups.

Our mark is `externalId`. Servers differ; what one says of itself is read once, and what it does
not say is a quirk that is set when the connector is made.
Source: connectors document, §18; RFC 7644.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import ClassVar, Final, Unpack

from newel.base.errors import (
    Bug,
    ContractDrift,
    Forbidden,
    Invalid,
    NotReady,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.answers import Answer
from newel.connectors.auth import BearerCredential
from newel.connectors.base import Check, Connector, Holding, Outside, marker_of, names_of
from newel.connectors.ensure import Adoption, Exists, ensured, removed
from newel.connectors.gate import Bucket
from newel.connectors.http import MOST_PAGES
from newel.connectors.operation import operation
from newel.connectors.scim_contract import (
    API,
    CONFIG,
    CONFIGURATION,
    CORE_USER,
    CREATE_USER,
    DELETE_USER,
    GROUPS,
    ONE_USER,
    PAGE_OF_GROUPS,
    PAGE_OF_USERS,
    PATCH_GROUP,
    PATCH_USER,
    READ_GROUPS,
    READ_USERS,
    REPLACE_GROUP,
    REPLACE_USER,
    USER,
    USERS,
    WRITE_GROUPS,
    WRITE_USERS,
    Config,
    Group,
    Quirks,
    User,
    equal,
    judged,
    member_step,
    replacing,
)
from newel.domain.people import Person
from newel.domain.values import Access, Account

__all__ = ["Quirks", "Scim"]

_SETTLE: Final = (0, 2, 5)
_STALE: Final = HTTPStatus.PRECONDITION_FAILED
_LARGEST_PAGE: Final = 100


_on_account: Final = partial(
    operation,
    natural_key="account/{person.email}",
    path="scim",
    bucket=API,
    needs=(READ_USERS, WRITE_USERS),
    reads=(CONFIG.operation, USERS.operation, USER.operation),
    settle=_SETTLE,
)


class Scim(Connector):
    """One directory behind SCIM: accounts and groups."""

    title = "SCIM"
    buckets: ClassVar = (Bucket(name=API, rate=5, capacity=10),)

    def __init__(
        self,
        *,
        base_url: str,
        token: SecretRef,
        name: str,
        quirks: Quirks | None = None,
        title: str = "SCIM",
        of: str = "",
        **outside: Unpack[Outside],
    ) -> None:
        """Make it for the address of the SCIM endpoints and a bearer token.

        title: the system's own name, for people. quirks: how its server differs. of: name of the
        connector whose access this is, where people come by SCIM and all else goes another way.
        """
        self.title = title
        self._quirks = quirks or Quirks()
        self._config: Config | None = None
        super().__init__(
            name=name,
            secret=token,
            credential=BearerCredential(token),
            addresses={"": base_url},
            headers={"Accept": "application/scim+json, application/json"},
            request_id=("x-request-id", "x-okta-request-id"),
            **outside,
        )
        self.access_system = of or name

    @property
    def base_entitlement(self) -> str:
        """The entitlement of having an account in the system that this makes accounts of."""
        return f"{self.access_system}:account"

    async def probe(self) -> None:
        """Ask for one user."""
        await self.http.call(USERS, query={"count": "1"})

    async def check(self) -> Check:
        """Prove token and reading, and learn what the server can do; writing shows when used."""
        config = await self._read_config()
        have, missing = [], []
        for route, permission in ((USERS, READ_USERS), (GROUPS, READ_GROUPS)):
            try:
                await self.http.call(route, query={"count": "1"})
                have.append(permission)
            except Forbidden:
                missing.append(permission)
        notes = ["Whether the token may write shows only when something is written."]
        if not config.filter.supported:
            notes.insert(0, "The server does not filter: nobody's account can be looked up.")
        able = ("patch", "filter", "etag", "bulk")
        return Check(
            ok=not missing and config.filter.supported,
            identity=self.name,
            have=tuple(have),
            missing=tuple(missing),
            capabilities=tuple(
                f"{self.name}.{each}" for each in able if getattr(config, each).supported
            ),
            quota=f"pages of at most {config.filter.most}",
            notes=tuple(notes),
        )

    # Accounts ----------------------------------------------------------------------------------

    @operation(
        idempotency="read",
        natural_key="account/{person.email}",
        path="scim",
        needs=(READ_USERS,),
        reads=(USERS.operation,),
        bucket=API,
        title="Look up the account",
    )
    async def find(self, person: Person) -> Account | None:
        """Look for the account with the person's address, whoever it belongs to."""
        found = await self._user(person)
        return None if found is None else self._account(person, found)

    async def at_address(self, person: Person) -> Holding | None:
        """Look for the account at a work address, with its mark."""
        found = await self._user(person)
        return None if found is None else self._holding(found)

    @_on_account(
        idempotency="natural",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        spec=(CREATE_USER.operation, PATCH_USER.operation, REPLACE_USER.operation),
        title="Create the account",
    )
    async def ensure_account(self, person: Person) -> Account:
        """Create their account with our mark; a deactivated one of theirs is reactivated."""
        return await self._ensured(person, create=lambda: self._create(person), is_active=True)

    @_on_account(
        idempotency="put",
        revokes="{system}:account",
        undo="reactivate",
        reversible="yes",
        spec=(PATCH_USER.operation, REPLACE_USER.operation),
        title="Deactivate the account",
    )
    async def deactivate(self, person: Person) -> Account:
        """Shut their account; what is in it stays."""
        return await self._ensured(person, create=None, is_active=False)

    @_on_account(
        idempotency="put",
        grants="{system}:account",
        undo="deactivate",
        reversible="yes",
        spec=(PATCH_USER.operation, REPLACE_USER.operation),
        title="Reactivate the account",
    )
    async def reactivate(self, person: Person) -> Account:
        """Open a deactivated account again."""
        return await self._ensured(person, create=None, is_active=True)

    @_on_account(
        idempotency="put",
        revokes="{system}:account",
        undo="none: what was deleted is gone",
        reversible="no",
        approval="delete an account for good",
        spec=(DELETE_USER.operation,),
        reads=(USERS.operation,),
        title="Delete the account",
    )
    async def delete_account(self, person: Person) -> Account:
        """Delete their account for good; some servers only deactivate it."""
        marker = marker_of(person)
        reached = await removed(
            look=lambda: self._undeleted(person),
            ours=lambda user: user.evidence(marker),
            remove=self._delete,
            settling=self.settling(*_SETTLE),
            what="account",
        )
        gone = self.absent(person, reached.value.id if reached.value else "")
        return self.reported(reached, gone, access="revoked", path="scim")

    # Groups ------------------------------------------------------------------------------------

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="put",
        path="scim",
        grants="{system}:group/{group}",
        undo="leave_group",
        reversible="yes",
        bucket=API,
        needs=(READ_GROUPS, WRITE_GROUPS),
        spec=(PATCH_GROUP.operation, REPLACE_GROUP.operation),
        reads=(CONFIG.operation, GROUPS.operation),
        settle=_SETTLE,
        title="Add to the group",
    )
    async def join_group(self, account: Account, group: str) -> Account:
        """Make an account a member of a group, by the group's name."""
        return await self._membership(account, group, is_member=True)

    @operation(
        natural_key="group/{group}/{account.id}",
        idempotency="put",
        path="scim",
        revokes="{system}:group/{group}",
        undo="join_group",
        reversible="yes",
        bucket=API,
        needs=(READ_GROUPS, WRITE_GROUPS),
        spec=(PATCH_GROUP.operation, REPLACE_GROUP.operation),
        reads=(CONFIG.operation, GROUPS.operation),
        settle=_SETTLE,
        title="Remove from the group",
    )
    async def leave_group(self, account: Account, group: str) -> Account:
        """Take an account out of a group."""
        return await self._membership(account, group, is_member=False)

    async def accounts(self) -> AsyncIterator[Holding]:
        """Give all accounts of the directory with their groups, page by page; changes nothing."""
        config = await self._dialect()
        size = config.page_size or _LARGEST_PAGE
        start, seen = 1, 0
        for _ in range(MOST_PAGES):
            query = {"startIndex": str(start), "count": str(size)}
            page = PAGE_OF_USERS.read(await self.http.call(USERS, query=query))
            for user in page.resources:
                yield self._holding(user)
            seen += len(page.resources)
            start += len(page.resources)
            if not page.resources or seen >= page.total:
                return
        raise Bug("The list of users has no end.")

    def _holding(self, user: User) -> Holding:
        groups = tuple(
            f"{self.access_system}:group/{each.name}" for each in user.groups if each.name
        )
        return Holding(
            account=Account(
                system=self.access_system,
                id=user.id,
                handle=user.name,
                email=user.address,
                state="active" if user.active else "suspended",
            ),
            entitlements=(self.base_entitlement, *groups),
            marker=user.mark or "",
        )

    # Requests ----------------------------------------------------------------------------------

    async def _read_config(self) -> Config:
        self._config = CONFIGURATION.read(await self.http.call(CONFIG))
        return self._config

    async def _dialect(self) -> Quirks:
        """Give the quirks, what was left open filled in by what the server says of itself."""
        quirks = self._quirks
        if None not in (quirks.patch_style, quirks.etag, quirks.page_size):
            return quirks
        said = self._config or await self._read_config()
        return replace(
            quirks,
            patch_style=quirks.patch_style or ("path" if said.patch.supported else "put"),
            etag=said.etag.supported if quirks.etag is None else quirks.etag,
            page_size=quirks.page_size or min(said.filter.most or _LARGEST_PAGE, _LARGEST_PAGE),
        )

    def _headers(self, version: str | None = None) -> dict[str, str]:
        """Give the headers of a request with a body; version: only if it is still this one."""
        sent = {"Content-Type": self._quirks.content_type}
        return sent | ({"If-Match": version} if version else {})

    async def _user(self, person: Person) -> User | None:
        lookup = self._quirks.lookup
        wanted = marker_of(person) if lookup == "externalId" else person.email
        answer = await self.http.call(USERS, query={"filter": equal(lookup, wanted)})
        found = PAGE_OF_USERS.read(answer).resources
        if len(found) > 1:
            raise OwnershipConflict(
                "More than one account answers to this person.", evidence=f"{len(found)} hits"
            )
        return found[0] if found else None

    async def _undeleted(self, person: Person) -> User | None:
        """Look for the account; where deleting only deactivates, an inactive one counts as gone."""
        found = await self._user(person)
        is_gone = found and not found.active and self._quirks.delete_means == "deactivate"
        return None if is_gone else found

    async def _ensured(
        self, person: Person, *, create: Callable[[], Awaitable[User]] | None, is_active: bool
    ) -> Account:
        marker = marker_of(person)
        reached = await ensured(
            look=lambda: self._user(person),
            ours=lambda user: user.evidence(marker),
            create=create,
            differs=lambda user: {} if user.active is is_active else {"active": is_active},
            change=self._change,
            settling=self.settling(*_SETTLE),
            what="account",
            adoption=None if create is None else self._adoption(marker),
        )
        account = self._account(person, reached.value)
        access: Access = "active" if is_active else "suspended"
        return self.reported(reached, account, access=access, path="scim")

    def _adoption(self, marker: str) -> Adoption[User]:
        return Adoption(
            is_unmarked=lambda user: not user.mark,
            stamp=lambda user: self._change(user, {"externalId": marker}),
            shown=lambda user: ("It is active." if user.active else "It is deactivated.",),
        )

    async def _create(self, person: Person) -> User:
        given, family = names_of(person)
        body = {
            "schemas": [CORE_USER],
            "userName": person.email,
            "externalId": marker_of(person),
            "name": {"givenName": given, "familyName": family, "formatted": person.name},
            "displayName": person.name,
            "emails": [{"value": person.email, "type": "work", "primary": True}],
            "active": True,
        }
        answer = await self.http.call(
            CREATE_USER, body=body, headers=self._headers(), expect=(HTTPStatus.CONFLICT,)
        )
        if answer.status == HTTPStatus.CONFLICT:
            raise Exists
        return ONE_USER.read(answer)

    async def _change(self, user: User, fields: Mapping[str, object]) -> User:
        """Set attributes of a user, and see that they are set."""
        quirks = await self._dialect()
        path: dict[str, object] = {"id": user.id}
        if quirks.patch_style == "put":
            answer = await self._replaced(path, fields)
        else:
            (name, value), *_ = fields.items()
            body = replacing(name, value, quirks)
            answer = await self.http.call(PATCH_USER, path, body=body, headers=self._headers())
        if answer.status == HTTPStatus.NO_CONTENT:
            answer = await self.http.call(USER, path)
        changed = ONE_USER.read(answer)
        shows = {"active": changed.active, "externalId": changed.mark}
        if any(shows[name] != value for name, value in fields.items()):
            raise NotReady("The account was changed and still shows its former state.")
        return changed

    async def _replaced(self, path: Mapping[str, object], fields: Mapping[str, object]) -> Answer:
        """Send a user back whole with changed fields, unless somebody else has changed it."""
        for _ in range(2):
            read = await self.http.call(USER, path)
            body = read.document
            if not isinstance(body, dict):
                raise ContractDrift("The user is no object.", expected="object", seen="other")
            version = read.headers.get("etag")
            answer = await self.http.call(
                REPLACE_USER,
                path,
                body={**body, **fields},
                headers=self._headers(version),
                expect=(_STALE,),
            )
            if answer.status != _STALE:
                return answer
        raise Transient("Somebody else keeps changing the account.")

    async def _delete(self, user: User) -> None:
        await self.http.call(DELETE_USER, {"id": user.id}, expect=(HTTPStatus.NOT_FOUND,))

    async def _group(self, name: str) -> Group:
        answer = await self.http.call(GROUPS, query={"filter": equal("displayName", name)})
        found = PAGE_OF_GROUPS.read(answer).resources
        match found:
            case ():
                raise Invalid("There is no such group.", fields={"group": "is not known"})
            case (group,):
                return group
            case _:
                raise Invalid("Groups share this name.", fields={"group": "is ambiguous"})

    async def _membership(self, account: Account, group: str, *, is_member: bool) -> Account:
        async def change(found: Group, _: Mapping[str, object]) -> Group:
            await self._send_member(found, account.id, is_member=is_member)
            changed = await self._group(group)
            if changed.has(account.id) is not is_member:
                raise NotReady("The group was changed and still shows its former members.")
            return changed

        reached = await ensured(
            look=lambda: self._group(group),
            ours=lambda _: "account id",
            create=None,
            differs=lambda found: {} if found.has(account.id) is is_member else {"members": ""},
            change=change,
            settling=self.settling(0),
            what="group",
        )
        access: Access = "active" if is_member else "revoked"
        return self.reported(reached, account, access=access, path="scim")

    async def _send_member(self, group: Group, identity: str, *, is_member: bool) -> None:
        quirks = await self._dialect()
        path: dict[str, object] = {"id": group.id}
        if quirks.member_patch == "filter" and quirks.patch_style != "put":
            body = member_step(identity, is_member=is_member)
            await self.http.call(PATCH_GROUP, path, body=body, headers=self._headers())
            return
        if not quirks.etag or group.meta.version is None:
            raise Forbidden(
                "The server takes whole lists of members only, and has no entity tags: sending "
                "one could undo what somebody else has changed.",
                reason="blocked",
            )
        await self._send_members(group, identity, is_member=is_member, quirks=quirks)

    async def _send_members(
        self, group: Group, identity: str, *, is_member: bool, quirks: Quirks
    ) -> None:
        """Send the whole list, if the group is still the one that was read; else read it again."""
        for _ in range(2):
            kept = [m.value for m in group.members if m.value != identity]
            members = [{"value": each} for each in (*kept, *((identity,) if is_member else ()))]
            headers = self._headers(group.meta.version)
            path: dict[str, object] = {"id": group.id}
            if quirks.patch_style == "put":
                whole = {
                    "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                    "displayName": group.name,
                    "members": members,
                }
                answer = await self.http.call(
                    REPLACE_GROUP, path, body=whole, headers=headers, expect=(_STALE,)
                )
            else:
                body = replacing("members", members, quirks)
                answer = await self.http.call(
                    PATCH_GROUP, path, body=body, headers=headers, expect=(_STALE,)
                )
            if answer.status != _STALE:
                return
            group = await self._group(group.name)
        raise Transient("Somebody else keeps changing the group.")

    def _account(self, person: Person, user: User) -> Account:
        return Account(
            system=self.access_system,
            id=user.id,
            handle=user.name,
            email=person.email,
            state="active" if user.active else "suspended",
        )

    @staticmethod
    def judged(answer: Answer) -> StepError | None:
        """Class an answer of the server."""
        return judged(answer)
