"""A person comes, comes twice, and goes: Google and Slack in whole runs, and what goes wrong."""

from __future__ import annotations

from typing import Any

import pytest

from newel import Person, SecretRef, approval, minutes, parallel, process, seconds, team, timer
from newel.connectors.google import Google
from newel.connectors.slack import Slack
from newel.simulators import Lag, NotReady
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

STAFF = "staff@acme.example"
SKU = "1010020020"
ENGINEERING = "C0ACME00002"
JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")
BOSS = Person(name="Max Roe", email="max.roe@acme.example", hr_key="1")

google = Google(service_account=SecretRef("env:GOOGLE_SERVICE_ACCOUNT"), admin="admin@acme.example")
slack = Slack(token=SecretRef("env:SLACK_TOKEN"))


@process
async def joining(person: Person) -> str:
    """Give somebody everything."""
    account = await google.ensure_account(person)
    await parallel(
        google.join_group(person, STAFF),
        google.assign_licence(person, SKU),
        slack.ensure_account(person),
    )
    await slack.join_channel(person, ENGINEERING)
    await slack.say("#general", f"Welcome {person.name}!", once="welcome", about=person)
    return account.email


@process
async def leaving(person: Person, heir: Person) -> int:
    """Take everything away, in the order that lets nobody in again."""
    await google.forget_password(person)
    await google.sign_out(person)
    await parallel(
        google.revoke_tokens(person),
        google.revoke_app_passwords(person),
        google.invalidate_codes(person),
        slack.deactivate(person),
    )
    await google.suspend(person)
    transfer = await google.transfer_files(person, heir)
    while not await google.transferred(transfer):
        await timer("files", after=minutes(5))
    groups = await google.groups_of(person)
    for group in groups:
        await google.leave_group[group.address](person, group.address)
    await google.remove_licence(person, SKU)
    return len(groups)


@process
async def deleting(person: Person, asked: bool) -> str:
    """Delete an account for good, as somebody has approved or not."""
    if asked:
        await approval("delete", by=team("it"), allows=[google.delete_account(person)])
    return (await google.delete_account(person)).state


@pytest.fixture(autouse=True)
def _group(saas: Saas) -> None:  # noqa: F811 - as above
    saas.google.add_group(STAFF)


def there(saas: Saas) -> dict[str, Any]:  # noqa: F811 - as above
    """Give what Jane has and what was said of her, by the simulators' own account."""
    return {
        "accounts": [each["email"] for each in saas.google.accounts()].count(JANE.email),
        "groups": saas.google.groups_of(JANE.email),
        "licences": saas.google.licences_of(JANE.email),
        "channels": saas.slack.channels_of(saas.slack.user_by_email(JANE.email)["id"]),
        "said": [each["text"] for each in saas.slack.messages()],
        "doubled": saas.world.doubled(),
    }


EVERYTHING = {
    "accounts": 1,
    "groups": [STAFF],
    "licences": [SKU],
    "channels": ["general", "engineering"],
    "said": ["Welcome Jane Doe!"],
    "doubled": {},
}


async def test_a_second_run_changes_nothing_at_all(saas: Saas):  # noqa: F811 - as above
    """Everything given once more is found: no request that changes anything leaves."""
    async with running(joining.request(JANE)) as run:
        assert await run.result() == JANE.email
    before = [len(each.mutations()) for each in (saas.google, saas.slack)]
    async with running(joining.request(JANE), at="2026-01-06") as again:
        assert await again.result() == JANE.email
    assert [len(each.mutations()) for each in (saas.google, saas.slack)] == before
    assert there(saas) == EVERYTHING


@pytest.mark.parametrize(
    "operation",
    [
        "directory.users.insert",
        "directory.members.insert",
        "licensing.licenseAssignments.insert",
        "scim/create",
        "conversations.invite",
        "chat.postMessage",
    ],
)
async def test_a_lost_answer_anywhere_changes_nothing(
    saas: Saas,  # noqa: F811 - as above
    operation: str,
):
    """Whichever answer is lost, everything is there once, without a round or a ticket."""
    system = saas.slack if operation in {"scim/create", "conversations.invite"} else saas.google
    system = saas.slack if operation == "chat.postMessage" else system
    system.lose_answer(operation)
    async with running(joining.request(JANE)) as run:
        run.clock.advance(minutes(10))
        assert await run.result() == JANE.email
        assert run.tickets.opened == []
    assert [call.status for call in system.calls(operation) if call.fault] == [None]
    assert there(saas) == EVERYTHING


@pytest.mark.parametrize(
    ("operation", "view", "lag"),
    [
        ("directory.users.insert", "google.user", 40),
        ("directory.members.insert", "google.member", 200),
        ("scim/create", "scim.filter", 4),
        ("chat.postMessage", "slack.history", 4),
    ],
)
async def test_a_lost_answer_behind_a_lagging_view_changes_nothing(
    saas: Saas,  # noqa: F811 - as above
    operation: str,
    view: str,
    lag: float,
):
    """What was made and cannot be seen yet is looked for until it can be, and is made once."""
    system = saas.google if view.startswith("google") else saas.slack
    system.simulator.fail("*", Lag(view, lag))
    system.lose_answer(operation)
    async with running(joining.request(JANE)) as run:
        run.clock.advance(minutes(10))
        assert await run.result() == JANE.email
        assert run.tickets.opened == []
    (made,) = system.calls(operation, committed=True)
    assert made.status is None
    assert there(saas) == EVERYTHING


async def test_an_account_that_is_not_ready_is_waited_for(saas: Saas):  # noqa: F811 - as above
    """For ninety seconds the new account cannot be a member: no ticket, one of each."""
    saas.google.simulator.fail("*", NotReady(90))
    async with running(joining.request(JANE)) as run:
        assert set(run.retrying()) == {"google.join_group"}
        run.clock.advance(minutes(5))
        assert await run.result() == JANE.email
        assert (run.parked(), run.tickets.opened) == ({}, [])
    assert there(saas) == EVERYTHING


async def test_who_has_gone_can_get_in_nowhere(saas: Saas):  # noqa: F811 - as above
    """After leaving no session, app, code, group or licence is left; the files are handed on."""
    async with running(joining.request(JANE)) as run:
        await run.result()
    async with running(joining.request(BOSS)) as run:
        await run.result()
    saas.google.log_in(JANE.email)
    saas.google.authorize_app(JANE.email, "Notes")
    saas.google.make_app_password(JANE.email, "Telephone")
    saas.google.make_backup_codes(JANE.email)
    saas.slack.log_in(JANE.email)
    async with running(leaving.request(JANE, BOSS)) as run:
        assert run.waiting() == {"files"}
        saas.google.finish_transfer()
        run.clock.advance(minutes(5) + seconds(1))
        assert await run.result() == 1
    assert saas.google.ways_in(JANE.email) == set()
    assert not saas.slack.is_signed_in(JANE.email)
    found = there(saas)
    assert (found["groups"], found["licences"]) == ([], [])
    states = {each["email"]: each["state"] for each in saas.google.accounts()}
    assert (states[JANE.email], states[BOSS.email]) == ("suspended", "active")
    (transfer,) = saas.google.store.rows("transfers").values()
    assert transfer["overallTransferStatusCode"] == "completed"


async def test_an_account_is_deleted_only_after_an_approval(saas: Saas):  # noqa: F811 - as above
    """Without an approval in the run nothing is deleted; with one the account is."""
    async with running(joining.request(JANE)) as run:
        await run.result()
    async with running(deleting.request(JANE, asked=False), reads=False) as run:
        assert set(run.parked()) == {"google.delete_account"}
    assert there(saas) == EVERYTHING
    async with running(deleting.request(JANE, asked=True), reads=False) as run:
        await run.decide("delete", approved=True)
        assert await run.result() == "absent"
    found = there(saas)
    assert (found["accounts"], found["groups"], found["licences"]) == (0, [], [])
