"""Groups of a SCIM server: who is in them, by the group's name.

A server that takes whole lists of members only is sent one under its entity tag: without a tag
that could undo what somebody else has changed, and is refused.
Source: connectors document, §18; RFC 7644, §3.5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Final

from newel.base.errors import Forbidden, Invalid, NotReady, Transient
from newel.connectors.ensure import ensured
from newel.connectors.operation import operation
from newel.connectors.scim_base import ScimBase
from newel.connectors.scim_contract import (
    API,
    CONFIG,
    GROUPS,
    PAGE_OF_GROUPS,
    PATCH_GROUP,
    READ_GROUPS,
    REPLACE_GROUP,
    WRITE_GROUPS,
    Group,
    Quirks,
    equal,
    member_step,
    replacing,
)
from newel.domain.values import Access, Account

__all__ = ["ScimGroups"]

_SETTLE: Final = (0, 2, 5)
_STALE: Final = HTTPStatus.PRECONDITION_FAILED


_on_group: Final = partial(
    operation,
    natural_key="group/{group}/{account.id}",
    idempotency="put",
    path="scim",
    reversible="yes",
    bucket=API,
    needs=(READ_GROUPS, WRITE_GROUPS),
    spec=(PATCH_GROUP.operation, REPLACE_GROUP.operation),
    reads=(CONFIG.operation, GROUPS.operation),
    settle=_SETTLE,
)


class ScimGroups(ScimBase):
    """Joining and leaving groups."""

    @_on_group(grants="{system}:group/{group}", undo="leave_group", title="Add to the group")
    async def join_group(self, account: Account, group: str) -> Account:
        """Make an account a member of a group, by the group's name."""
        return await self._membership(account, group, is_member=True)

    @_on_group(revokes="{system}:group/{group}", undo="join_group", title="Remove from the group")
    async def leave_group(self, account: Account, group: str) -> Account:
        """Take an account out of a group."""
        return await self._membership(account, group, is_member=False)

    # Requests ----------------------------------------------------------------------------------

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
        quirks = await self.dialect()
        path: dict[str, object] = {"id": group.id}
        if quirks.member_patch == "filter" and quirks.patch_style != "put":
            body = member_step(identity, is_member=is_member)
            await self.http.call(PATCH_GROUP, path, body=body, headers=self.headers())
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
            headers = self.headers(group.meta.version)
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
