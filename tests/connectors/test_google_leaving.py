"""Google Workspace beyond the account: groups, ways in, files, licences, deletion, everybody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    Forbidden,
    Invalid,
    NoCapacity,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
    StepError,
    Transient,
)
from newel.base.secrets import Secret, SecretRef
from newel.connectors.declaring import declared
from newel.connectors.google import Google, Group, Issued, Transfer
from newel.connectors.google_contract import (
    DELETE_MEMBER,
    INSERT_MEMBER,
    INSERT_TRANSFER,
    SCOPES,
)
from newel.domain.people import Person
from newel.domain.values import Absent, Found
from newel.simulators.faults import Lag, Licences, LoseResponse, RemoveScope
from newel.simulators.faults import NotReady as Unready
from newel.simulators.google import GoogleSimulator
from tests.connectors.support import (
    JANE,
    OTHER_JANE,
    START,
    Notebook,
    Time,
    agreed,
    attempt,
    effect_of,
    raised,
)

STAFF = "staff@acme.example"
BOSS = Person(name="Max Roe", email="max.roe@acme.example", ref="per_max", hr_key="1")
SKU = "1010020020"


@pytest.fixture
def sim(time: Time) -> GoogleSimulator:
    """Google Workspace on the standing clock, with one group."""
    sim = GoogleSimulator(seed=7, clock=time.world, sleep=time.pause, page_size=3)
    sim.add_group(STAFF)
    return sim


class Letters:
    """Hands over passwords by remembering them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.fails = False

    async def __call__(self, person: Person, secret: Secret) -> str:
        """Remember who got which password, or fail."""
        if self.fails:
            raise Transient("The mail server cannot be reached.")
        self.sent.append((person.email, secret.reveal()))
        return f"message-{len(self.sent)}"


@pytest.fixture
def letters() -> Letters:
    """The way passwords are handed over."""
    return Letters()


@pytest.fixture
def google(
    sim: GoogleSimulator, time: Time, letters: Letters, monkeypatch: pytest.MonkeyPatch
) -> Google:
    """Connect to it, with every scope and a way to hand over passwords."""
    given = sim.credentials()
    monkeypatch.setenv("T_GOOGLE_KEY", given["GOOGLE_SERVICE_ACCOUNT"])
    SecretRef("env:T_GOOGLE_KEY").resolve(fresh=True)
    return Google(
        service_account=SecretRef("env:T_GOOGLE_KEY"),
        admin=given["GOOGLE_ADMIN"],
        transport=agreed(sim),
        clock=time.clock,
        pause=time.pause,
        deliver=letters,
    )


async def did(time: Time, awaited: Any) -> tuple[bool, str]:
    """Do something inside an attempt; give whether it changed anything, and the grant's state."""
    with attempt(time) as observed:
        await awaited
    effect = effect_of(observed)
    return effect.changed, effect.access


# Groups ----------------------------------------------------------------------------------------


async def test_a_group_is_joined_and_left_once(google: Google, sim: GoogleSimulator, time: Time):
    """Joining and leaving change something once; the second time nothing is sent."""
    await google.ensure_account(JANE)
    seen = []
    for operation in (google.join_group, google.leave_group):
        for _ in range(2):
            seen.append(await did(time, operation.called(JANE, STAFF)))
            seen.append((JANE.email in str(sim.store.rows("group_members")), ""))
    assert seen == [
        (True, "active"),
        (True, ""),
        (False, "active"),
        (True, ""),
        (True, "revoked"),
        (False, ""),
        (False, "revoked"),
        (False, ""),
    ]
    assert len(sim.mutations()) == 3


async def test_groups_are_listed_over_pages(google: Google, sim: GoogleSimulator):
    """What is recorded before leaving is every group, in the order of their addresses."""
    await google.ensure_account(JANE)
    for number in range(4):
        sim.add_group(f"team{number}@acme.example", f"Team {number}")
        await google.join_group(JANE, f"team{number}@acme.example")
    found = await google.groups_of(JANE)
    assert [group.address for group in found] == [f"team{n}@acme.example" for n in range(4)]
    assert isinstance(found[0], Group)
    assert await google.groups_of(BOSS) == ()


async def test_a_member_by_hand_is_found(google: Google, sim: GoogleSimulator, time: Time):
    """Who was put into the group by hand is in it: nothing is changed."""
    await google.ensure_account(JANE)
    sim.add_member_by_hand(STAFF, JANE.email)
    assert await did(time, google.join_group.called(JANE, STAFF)) == (False, "active")


async def test_a_lost_membership_is_found(google: Google, sim: GoogleSimulator, time: Time):
    """The answer to the joining is lost: verify sees the member, and there is one."""
    await google.ensure_account(JANE)
    sim.fail(INSERT_MEMBER.operation, LoseResponse(), times=1)
    await raised(google.join_group(JANE, STAFF), OutcomeUnknown)
    assert google.join_group.verify is not None
    with attempt(time) as observed:
        assert isinstance(await google.join_group.verify(JANE, STAFF), Found)
    assert effect_of(observed).changed
    sim.assert_exactly_once(f"group/{STAFF}/{JANE.email}")


async def test_a_fresh_account_is_not_a_member_yet(
    google: Google, sim: GoogleSimulator, time: Time
):
    """Google says for ninety seconds that the new account does not exist: that is waited for."""
    await google.ensure_account(JANE)
    sim.fail("*", Unready(90))
    await raised(google.join_group(JANE, STAFF), NotReady)
    time.move(timedelta(seconds=90))
    await google.join_group(JANE, STAFF)
    sim.assert_exactly_once(f"group/{STAFF}/{JANE.email}")


async def test_a_lagging_group_is_never_mended_by_adding_again(
    google: Google, sim: GoogleSimulator, time: Time
):
    """A membership said to exist and not shown is waited for, and not committed twice."""
    await google.ensure_account(JANE)
    sim.fail("*", Lag("google.member", 100))
    await google.join_group(JANE, STAFF)
    with attempt(time, intended=START):
        early = await raised(google.join_group.called(JANE, STAFF), NotReady)
    assert early.retry_at == START + timedelta(seconds=300)
    time.move(timedelta(seconds=100))
    with attempt(time) as observed:
        await google.join_group.called(JANE, STAFF)
    assert not effect_of(observed).changed
    sim.assert_exactly_once(f"group/{STAFF}/{JANE.email}")


async def test_a_removal_still_to_be_seen_is_lag(google: Google, sim: GoogleSimulator, time: Time):
    """A group that shows the member after the removal makes nobody remove twice."""
    await google.ensure_account(JANE)
    await google.join_group(JANE, STAFF)
    time.move(timedelta(minutes=10))
    sim.fail("*", Lag("google.member", 60))
    await raised(google.leave_group(JANE, STAFF), OutcomeUnknown)
    time.move(timedelta(seconds=60))
    assert await did(time, google.leave_group.called(JANE, STAFF)) == (False, "revoked")
    assert len(sim.calls(DELETE_MEMBER.operation, committed=True)) == 1


async def test_nobody_else_is_put_into_a_group(google: Google, sim: GoogleSimulator):
    """An account that is not theirs gets into no group, signs out of nothing, keeps its files."""
    await google.ensure_account(OTHER_JANE)
    before = len(sim.mutations())
    for call in (
        google.join_group(JANE, STAFF),
        google.leave_group(JANE, STAFF),
        google.groups_of(JANE),
        google.sign_out(JANE),
        google.revoke_tokens(JANE),
        google.forget_password(JANE),
        google.issue_password(JANE),
        google.assign_licence(JANE, SKU),
        google.transfer_files(JANE, JANE),
        google.delete_account(JANE),
    ):
        await raised(call, OwnershipConflict)
    assert len(sim.mutations()) == before


# What lets somebody in -------------------------------------------------------------------------


async def test_every_way_in_is_ended(google: Google, sim: GoogleSimulator, time: Time):
    """After sign-out, tokens, app passwords and codes nothing lets anybody in any more."""
    await google.ensure_account(JANE)
    sim.log_in(JANE.email)
    for app in ("Notes", "Calendar", "Mail", "Maps"):
        sim.authorize_app(JANE.email, app)
    sim.make_app_password(JANE.email, "Telephone")
    sim.make_backup_codes(JANE.email)
    assert len(sim.ways_in(JANE.email)) == 4
    for operation in (
        google.forget_password,
        google.sign_out,
        google.revoke_tokens,
        google.revoke_app_passwords,
        google.invalidate_codes,
    ):
        assert await did(time, operation.called(JANE)) == (True, "active")
    assert sim.ways_in(JANE.email) == set()
    committed = len(sim.calls(mutating=True, committed=True))
    for again in (google.revoke_tokens, google.revoke_app_passwords):
        assert await did(time, again.called(JANE)) == (False, "active")
    await google.sign_out(JANE)
    await google.invalidate_codes(JANE)
    assert len(sim.calls(mutating=True, committed=True)) == committed


async def test_a_gone_account_lets_nobody_in(google: Google, sim: GoogleSimulator, time: Time):
    """Every operation that ends something succeeds without a call where there is no account."""
    for awaited in (
        google.forget_password.called(JANE),
        google.sign_out.called(JANE),
        google.revoke_tokens.called(JANE),
        google.invalidate_codes.called(JANE),
        google.suspend.called(JANE),
        google.leave_group.called(JANE, STAFF),
        google.remove_licence.called(JANE, SKU),
        google.delete_account.called(JANE),
    ):
        assert await did(time, awaited) == (False, "revoked")
    assert sim.mutations() == []


async def test_a_first_password_is_handed_over_once(
    google: Google, sim: GoogleSimulator, letters: Letters
):
    """One password is issued; while it waits, or once it is used, nothing more happens."""
    await google.ensure_account(JANE)
    issued = await google.issue_password(JANE)
    assert issued == Issued(system="google", at=START, message="message-1")
    assert await google.issue_password(JANE) == Issued(system="google", at=None)
    sim.log_in(JANE.email)
    assert await google.issue_password(JANE) == Issued(system="google", at=None)
    ((address, secret),) = letters.sent
    assert address == JANE.email
    assert secret not in repr(issued)


async def test_a_password_nobody_got_is_replaced(
    google: Google, sim: GoogleSimulator, letters: Letters, time: Time
):
    """If handing over fails, or the answer is lost, the next attempt issues another password."""
    await google.ensure_account(JANE)
    letters.fails = True
    await raised(google.issue_password(JANE), OutcomeUnknown)
    assert google.issue_password.verify is not None
    assert await google.issue_password.verify(JANE) == Absent()
    letters.fails = False
    with attempt(time, follows_doubt=True):
        issued = await google.issue_password.called(JANE)
    assert (issued.message, len(letters.sent)) == ("message-1", 1)


async def test_without_a_way_to_hand_over_no_password_is_set(google: Google, sim: GoogleSimulator):
    """A connector that cannot deliver says so before it sets anything."""
    await google.ensure_account(JANE)
    google._deliver = None
    refused = await raised(google.issue_password(JANE), Forbidden)
    assert (refused.reason, len(sim.mutations())) == ("blocked", 1)


# Files and licences ----------------------------------------------------------------------------


async def test_files_are_transferred_once_and_watched(
    google: Google, sim: GoogleSimulator, time: Time
):
    """A running transfer is taken up, over is over, and of everything that is owned."""
    await google.ensure_account(JANE)
    await google.ensure_account(BOSS)
    transfer = await google.transfer_files(JANE, BOSS)
    again = await google.transfer_files(JANE, BOSS)
    assert (again, transfer.state) == (transfer, "running")
    assert not await google.transferred(transfer)
    sim.finish_transfer()
    assert await google.transferred(transfer)
    (call,) = sim.calls(INSERT_TRANSFER.operation)
    assert call.did == "created"
    (row,) = sim.store.rows("transfers").values()
    assert len(row["applicationDataTransfers"]) == 2


async def test_a_lost_transfer_is_found_even_when_it_is_over(
    google: Google, sim: GoogleSimulator, time: Time
):
    """A transfer that ended before anybody looked is the one whose answer was lost."""
    await google.ensure_account(JANE)
    await google.ensure_account(BOSS)
    sim.fail(INSERT_TRANSFER.operation, LoseResponse(), times=1)
    await raised(google.transfer_files(JANE, BOSS), OutcomeUnknown)
    sim.finish_transfer()
    time.move(timedelta(minutes=3))
    assert google.transfer_files.verify is not None
    with attempt(time, intended=START):
        verdict = await google.transfer_files.verify(JANE, BOSS)
    assert isinstance(verdict, Found)
    assert verdict.value.state == "completed"


async def test_a_failed_transfer_goes_to_a_person(google: Google, sim: GoogleSimulator):
    """A transfer that Google gives up is no reason to begin another."""
    await google.ensure_account(JANE)
    await google.ensure_account(BOSS)
    transfer = await google.transfer_files(JANE, BOSS)
    sim.fail_transfer()
    assert (await raised(google.transferred(transfer), Forbidden)).reason == "blocked"


async def test_a_licence_is_given_and_taken_once(google: Google, sim: GoogleSimulator, time: Time):
    """A licence given is there, taken it is gone, and each is done once."""
    await google.ensure_account(JANE)
    seen = [
        await did(time, operation.called(JANE, SKU))
        for operation in (google.assign_licence, google.remove_licence)
        for _ in range(2)
    ]
    assert seen == [(True, "active"), (False, "active"), (True, "revoked"), (False, "revoked")]
    assert sim.licences_of(JANE.email) == []


async def test_no_licence_left_is_named(google: Google, sim: GoogleSimulator):
    """Licences that are used up are told from one that the account has of another kind."""
    await google.ensure_account(JANE)
    sim.fail("*", Licences(0), identity="full")
    full = await raised(google.assign_licence(JANE, SKU), NoCapacity)
    assert full.what == f"licences {SKU} of Google"
    await raised(google.assign_licence(JANE, "unknown"), Invalid)


# The end ---------------------------------------------------------------------------------------


async def test_a_deleted_account_can_be_brought_back(
    google: Google, sim: GoogleSimulator, time: Time
):
    """Deletion and return each happen once, and the account keeps its id."""
    account = await google.ensure_account(JANE)
    seen = []
    for operation in (google.delete_account, google.undelete_account):
        for _ in range(2):
            with attempt(time) as observed:
                reached = await operation.called(JANE)
            effect = effect_of(observed)
            seen.append((effect.changed, effect.access, reached.state))
    assert seen == [
        (True, "revoked", "absent"),
        (False, "revoked", "absent"),
        (True, "active", "active"),
        (False, "active", "active"),
    ]
    assert await google.find(JANE) == account


async def test_only_ones_own_account_is_brought_back(google: Google, sim: GoogleSimulator):
    """A deleted account with another's mark stays deleted."""
    await google.ensure_account(OTHER_JANE)
    await google.delete_account(OTHER_JANE)
    await raised(google.undelete_account(JANE), Invalid)


async def test_an_address_still_reserved_cannot_be_read(
    google: Google, sim: GoogleSimulator, time: Time
):
    """The address of somebody just deleted exists and is not shown: a conflict, no account."""
    await google.ensure_account(OTHER_JANE)
    await google.delete_account(OTHER_JANE)
    with attempt(time, intended=START - timedelta(seconds=60)):
        conflict = await raised(google.ensure_account.called(JANE), OwnershipConflict)
    assert conflict.evidence == "exists but cannot be read"


async def test_everybody_is_listed_with_what_they_hold(google: Google, sim: GoogleSimulator):
    """All accounts are told over pages, with mark, groups and licences."""
    await google.ensure_account(JANE)
    await google.join_group(JANE, STAFF)
    await google.assign_licence(JANE, SKU)
    for number in range(3):
        sim.create_by_hand(f"hand{number}@acme.example")
    before = len(sim.mutations())
    found = {each.account.email: each async for each in google.accounts()}
    assert len(found) == 5
    assert found[JANE.email].entitlements == (
        "google:account",
        f"google:group/{STAFF}",
        f"google:licence/{SKU}",
    )
    assert (found[JANE.email].marker, found["hand1@acme.example"].marker) == ("4711", "")
    assert len(sim.mutations()) == before


# Scopes ----------------------------------------------------------------------------------------


class Blank(Notebook):
    """A book in which nobody has reserved anything."""

    async def reserved(self, person: Person) -> None:
        """Nothing."""
        del person


async def everything(google: Google) -> dict[str, StepError | None]:
    """Do every operation once, what cannot be taken back last; give what each failed with."""
    more: dict[str, tuple[Any, ...]] = {
        "join_group": (JANE, STAFF),
        "leave_group": (JANE, "all@acme.example"),
        "transfer_files": (JANE, BOSS),
        "transferred": (Transfer(system="google", id="t", state="running"),),
        "assign_licence": (JANE, SKU),
        "remove_licence": (JANE, SKU),
    }
    last = ("withdraw_account", "delete_account", "undelete_account")
    names = [name for name in Google.operations() if name not in last]
    failed: dict[str, StepError | None] = {}
    for name in (*names, *last):
        try:
            await getattr(google, name)(*more.get(name, (JANE,)))
        except StepError as error:
            failed[name] = error
        else:
            failed[name] = None
    return failed


@pytest.mark.parametrize("scope", [None, *SCOPES])
async def test_each_scope_serves_exactly_the_operations_that_name_it(
    google: Google, sim: GoogleSimulator, scope: str | None
):
    """With all scopes everything works; with one removed, who names it fails by its name."""
    for person in (JANE, BOSS):
        await google.ensure_account(person)
    sim.add_group("all@acme.example")
    sim.add_member_by_hand("all@acme.example", JANE.email)
    sim.authorize_app(JANE.email, "Notes")
    sim.make_app_password(JANE.email, "Telephone")
    owners = {"oldOwnerUserId": "1", "newOwnerUserId": "2"}
    done = {"id": "t", "overallTransferStatusCode": "completed"}
    sim.store.put("transfers", "t", {**owners, **done})
    if scope is not None:
        sim.fail("*", RemoveScope(scope))
    google.know_from(Blank())
    failed = await everything(google)
    listing = {name for name, step in Google.operations().items() if scope in declared(step).needs}
    assert {name for name, error in failed.items() if error is not None} == listing
    for name in listing:
        error = failed[name]
        assert isinstance(error, Forbidden)
        assert error.missing == scope
        assert str(scope) in str(error)
