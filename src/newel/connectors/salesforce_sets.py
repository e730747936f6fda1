"""Salesforce: permission sets, given to accounts by the set's name.

Source: connectors document, §15.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from newel.base.errors import Invalid
from newel.connectors.ensure import Exists, ensured, removed
from newel.connectors.operation import operation
from newel.connectors.salesforce_base import SalesforceBase, text_of
from newel.connectors.salesforce_contract import (
    API,
    ASSIGN,
    MADE,
    QUERY,
    SETTLE,
    TAKEN,
    UNASSIGN,
)
from newel.domain.values import Account

__all__ = ["SalesforcePermissionSets"]

_SETS: Final = ("Assign Permission Sets",)


class SalesforcePermissionSets(SalesforceBase):
    """Who has which permission set."""

    @operation(
        natural_key="permission_set/{permission_set}/{account.id}",
        idempotency="natural",
        grants="{system}:permission_set/{permission_set}",
        undo="remove_permission_set",
        reversible="yes",
        bucket=API,
        needs=_SETS,
        spec=(ASSIGN.operation,),
        reads=(QUERY.operation,),
        settle=SETTLE,
        title="Assign the permission set",
    )
    async def assign_permission_set(self, account: Account, permission_set: str) -> Account:
        """Give an account a permission set, by the set's name."""
        reached = await ensured(
            look=lambda: self._assignment(account, permission_set),
            ours=lambda _: "account id",
            create=lambda: self._assign(account, permission_set),
            settling=self.settling(*SETTLE),
            what="permission set assignment",
        )
        return self.reported(reached, account)

    @operation(
        natural_key="permission_set/{permission_set}/{account.id}",
        idempotency="natural",
        revokes="{system}:permission_set/{permission_set}",
        undo="assign_permission_set",
        reversible="yes",
        bucket=API,
        needs=_SETS,
        spec=(UNASSIGN.operation,),
        reads=(QUERY.operation,),
        settle=SETTLE,
        title="Remove the permission set",
    )
    async def remove_permission_set(self, account: Account, permission_set: str) -> Account:
        """Take a permission set away from an account."""
        reached = await removed(
            look=lambda: self._assignment(account, permission_set),
            ours=lambda _: "account id",
            remove=self._unassign,
            settling=self.settling(*SETTLE),
            what="permission set assignment",
        )
        return self.reported(reached, account, access="revoked")

    # Requests ----------------------------------------------------------------------------------

    async def _assignment(self, account: Account, permission_set: str) -> str | None:
        conditions = {"AssigneeId": account.id, "PermissionSet.Name": permission_set}
        rows = await self._rows("Id", "PermissionSetAssignment", conditions)
        return text_of(rows[0], "Id") if rows else None

    async def _assign(self, account: Account, permission_set: str) -> str:
        rows = await self._rows("Id", "PermissionSet", {"Name": permission_set})
        if not rows:
            raise Invalid(
                "There is no such permission set.", fields={"permission_set": "is not known"}
            )
        body = {"AssigneeId": account.id, "PermissionSetId": text_of(rows[0], "Id")}
        answer = await self.http.call(ASSIGN, self._path(), body=body, expect=TAKEN)
        if answer.status == HTTPStatus.BAD_REQUEST:
            raise Exists
        return MADE.read(answer).id

    async def _unassign(self, assignment: str) -> None:
        path = self._path(id=assignment)
        await self.http.call(UNASSIGN, path, expect=(HTTPStatus.NOT_FOUND,))
