"""Salesforce: whose a user is, and the login, which can be shut at once.

Freezing works whatever stands against a deactivation; user, licence and everything owned stay.
Source: connectors document, §15.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from newel.base.errors import Invalid, NotReady, OwnershipConflict
from newel.connectors.base import marker_of
from newel.connectors.ensure import ensured
from newel.connectors.operation import operation
from newel.connectors.salesforce_base import SalesforceBase, text_of
from newel.connectors.salesforce_contract import API, FREEZE, QUERY, SETTLE, User
from newel.domain.people import Person
from newel.domain.values import Account

__all__ = ["SalesforceLogins"]


class SalesforceLogins(SalesforceBase):
    """Users as they are found, and their logins."""

    @operation(
        natural_key="login/{person.email}",
        idempotency="put",
        undo="unfreeze",
        reversible="yes",
        bucket=API,
        needs=("API Enabled", "Freeze Users"),
        spec=(FREEZE.operation,),
        reads=(QUERY.operation,),
        settle=SETTLE,
        locks_out=True,
        title="Freeze the Salesforce login",
    )
    async def freeze(self, person: Person) -> Account:
        """Shut the login at once; user, licence and everything owned stay as they are."""
        return await self._frozen(person, is_frozen=True)

    @operation(
        natural_key="login/{person.email}",
        idempotency="put",
        undo="freeze",
        reversible="yes",
        bucket=API,
        needs=("API Enabled", "Freeze Users"),
        spec=(FREEZE.operation,),
        reads=(QUERY.operation,),
        settle=SETTLE,
        title="Unfreeze the Salesforce login",
    )
    async def unfreeze(self, person: Person) -> Account:
        """Open a frozen login again."""
        return await self._frozen(person, is_frozen=False)

    # Requests ----------------------------------------------------------------------------------

    def _login_name(self, person: Person) -> str:
        return f"{person.email}{self._suffix}"

    async def _user(self, person: Person) -> User | None:
        """Look for the user with the person's mark, whatever they are called, else by name."""
        fields, marker = f"Id, IsActive, Username, {self._marker_field}", marker_of(person)
        either = {self._marker_field: marker, "Username": self._login_name(person)}
        rows = await self._rows(fields, "User", either, "OR")
        # Salesforce compares without regard to case, and so must whoever tells its hits apart.
        marked = [row for row in rows if self._mark(row).casefold() == marker.casefold()]
        if len(marked) > 1:
            raise OwnershipConflict(
                "More than one account carries the mark.", evidence=f"{len(marked)} hits"
            )
        if not rows:
            return None
        (row, *_) = marked or rows
        return User(
            id=text_of(row, "Id"),
            is_active=row.get("IsActive") is True,
            mark=self._mark(row),
            name=text_of(row, "Username"),
        )

    async def _login(self, user: User) -> dict[str, Any] | None:  # Any: see Rows
        rows = await self._rows("Id, IsFrozen", "UserLogin", {"UserId": user.id})
        return rows[0] if rows else None

    async def _freeze(self, user: User, *, is_frozen: bool) -> None:
        login = await self._login(user)
        if login is not None and login.get("IsFrozen") is not is_frozen:
            path = self._path(id=text_of(login, "Id"))
            await self.http.call(FREEZE, path, body={"IsFrozen": is_frozen})

    async def _frozen(self, person: Person, *, is_frozen: bool) -> Account:
        """Bring the login into a state, and see that it is in it."""
        user = await self._user(person)
        if user is None:
            raise Invalid("There is no Salesforce account to change.")
        evidence = user.evidence(marker_of(person))

        async def change(login: dict[str, Any], wanted: Mapping[str, object]) -> dict[str, Any]:
            await self.http.call(FREEZE, self._path(id=text_of(login, "Id")), body=dict(wanted))
            changed = await self._login(user)
            if changed is None or changed.get("IsFrozen") is not is_frozen:
                raise NotReady("The login was changed and still shows its former state.")
            return changed

        reached = await ensured(
            look=lambda: self._login(user),
            ours=lambda _: evidence,
            create=None,
            differs=lambda login: (
                {} if login.get("IsFrozen") is is_frozen else {"IsFrozen": is_frozen}
            ),
            change=change,
            settling=self.settling(0),
            what="Salesforce login",
        )
        account = self._account(person, user)
        is_open = user.is_active and not is_frozen
        return self.reported(reached, account, access="active" if is_open else "suspended")

    def _account(self, person: Person, user: User) -> Account:
        return Account(
            system=self.name,
            id=user.id,
            handle=user.name or self._login_name(person),
            email=person.email,
            state="active" if user.is_active else "suspended",
        )
