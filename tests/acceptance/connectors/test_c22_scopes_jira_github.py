"""C22: each permission of the inventory removed in turn stops what lists it, by name.

Here for every changing operation of GitHub, Jira and the Atlassian organization. What an
operation needs is read from its declaration; the simulators enforce exactly that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from newel.base.errors import Forbidden
from newel.base.secrets import SecretRef
from newel.connectors.atlassian import Atlassian
from newel.connectors.declaring import declared
from newel.connectors.github import GitHub
from newel.connectors.jira import Jira
from newel.domain.values import Account
from newel.simulators.faults import RemoveScope
from newel.simulators.world import World
from tests.connectors.support import JANE, Time, agreed, raised

GROUP = "site-admins"
# The organization's key has no scopes by name; its simulator knows one.
SPELT = {"organization admin API key": "org:admin"}


class Site:
    """The three connectors on one world."""

    def __init__(self, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make the world and connect to it."""
        self.world = World(seed=9, clock=time.world, sleep=time.pause, page_size=3)
        given = self.world.credentials()

        def secret(name: str) -> SecretRef:
            monkeypatch.setenv(f"T_C22_{name}", given[name])
            reference = SecretRef(f"env:T_C22_{name}")
            reference.resolve(fresh=True)
            return reference

        time_: dict[str, Any] = {"clock": time.clock, "pause": time.pause}
        self.github = GitHub(
            org="acme-example",
            token=secret("GITHUB_TOKEN"),
            transport=agreed(self.world.github),
            **time_,
        )
        self.jira = Jira(
            email=given["JIRA_EMAIL"],
            token=secret("JIRA_TOKEN"),
            base_url=given["JIRA_URL"],
            transport=agreed(self.world.jira),
            **time_,
        )
        self.atlassian = Atlassian(
            organization=given["ATLASSIAN_ORGANIZATION"],
            key=secret("ATLASSIAN_KEY"),
            transport=agreed(self.world.jira),
            **time_,
        )

    async def member(self) -> None:
        """Let Jane be a member of GitHub."""
        self.world.github.create_by_hand("jane-doe")

    async def owner(self) -> None:
        """Let her be an owner."""
        self.world.github.create_by_hand("jane-doe", "admin")

    async def in_team(self) -> None:
        """Let her be in a team."""
        await self.member()
        await self.github.join_team(JANE, "jane-doe", "platform")

    async def collaborator(self) -> None:
        """Let her have a repository."""
        await self.member()
        await self.github.grant(JANE, "jane-doe", "api")

    async def invited(self) -> None:
        """Let her address be invited."""
        await self.github.ensure_invited(JANE)

    async def in_group(self) -> None:
        """Let her be in a group of Jira."""
        await self.jira.join_group(await self.jira.ensure_account(JANE), GROUP)

    async def account(self) -> None:
        """Let her have an account of Jira."""
        await self.jira.ensure_account(JANE)

    async def issue(self) -> None:
        """Let there be an issue."""
        await self.jira.create_issue("OPS", "A laptop", "For the first day.")

    async def nothing(self) -> None:
        """Let there be nothing."""

    async def hers(self) -> Account:
        """Give her account of Jira, as an earlier step has it."""
        found = await self.jira.find(JANE)
        assert found is not None
        return found


CASES: list[tuple[type[Any], str, Any, Any]] = [
    (GitHub, "ensure_member", Site.nothing, (JANE, "jane-doe")),
    (GitHub, "remove_member", Site.member, (JANE, "jane-doe")),
    (GitHub, "make_owner", Site.member, (JANE, "jane-doe")),
    (GitHub, "end_ownership", Site.owner, (JANE, "jane-doe")),
    (GitHub, "ensure_invited", Site.nothing, (JANE,)),
    (GitHub, "cancel_invitation", Site.invited, (JANE,)),
    (GitHub, "join_team", Site.member, (JANE, "jane-doe", "platform")),
    (GitHub, "leave_team", Site.in_team, (JANE, "jane-doe", "platform")),
    (GitHub, "grant", Site.member, (JANE, "jane-doe", "api")),
    (GitHub, "revoke", Site.collaborator, (JANE, "jane-doe", "api")),
    (Jira, "ensure_account", Site.nothing, (JANE,)),
    (Jira, "remove_account", Site.account, (JANE,)),
    (Jira, "join_group", Site.account, ("hers", GROUP)),
    (Jira, "leave_group", Site.in_group, ("hers", GROUP)),
    (Jira, "create_issue", Site.nothing, ("OPS", "A laptop", "For the first day.")),
    (Jira, "comment", Site.issue, ("OPS-1", "It is here.")),
    (Jira, "transition", Site.issue, ("OPS-1", "done")),
    (Atlassian, "suspend", Site.account, ("hers",)),
    (Atlassian, "restore", Site.account, ("hers",)),
]
REMOVED = [
    pytest.param(*case, need, id=f"{case[0].__name__}.{case[1]}-{need}")
    for case in CASES
    for need in declared(case[0].operations()[case[1]]).needs
]


def test_every_changing_operation_has_its_row():
    """No operation that changes something is left out of the table."""
    rows = {(kind, name) for kind, name, _, _ in CASES}
    for kind in (GitHub, Jira, Atlassian):
        changing = {n for n, s in kind.operations().items() if declared(s).idempotency != "read"}
        assert {name for each, name in rows if each is kind} == changing


@pytest.mark.parametrize(("kind", "name", "arranged", "arguments", "need"), REMOVED)
async def test_a_removed_permission_stops_the_operation_by_name(
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Any],
    name: str,
    arranged: Callable[[Site], Awaitable[None]],
    arguments: tuple[Any, ...],
    need: str,
):
    """Without the permission the operation is forbidden, says which, and changes nothing."""
    site = Site(time, monkeypatch)
    await arranged(site)
    connector = getattr(site, kind.__name__.lower())
    sim = site.world.github if kind is GitHub else site.world.jira
    given = [await site.hers() if each == "hers" else each for each in arguments]
    if name == "restore":
        await connector.suspend(given[0])
    connector.forget()
    before = len(sim.calls(mutating=True, committed=True))
    for scope in need.split("|"):
        sim.fail("*", RemoveScope(SPELT.get(scope, scope)))
    refused = await raised(getattr(connector, name)(*given), Forbidden)
    assert need.partition("|")[0] in str(refused)
    assert need.partition("|")[0] in (refused.missing or "")
    assert len(sim.calls(mutating=True, committed=True)) == before
    sim.heal()
    connector.forget()
    await getattr(connector, name)(*given)
    assert len(sim.calls(mutating=True, committed=True)) == before + 1
