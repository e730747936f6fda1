from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    Invalid,
    NotReady,
    OutcomeUnknown,
    OwnershipConflict,
)
from newel.base.secrets import Secret
from newel.connectors.auth import Assertion
from newel.connectors.ensure import Ensured, Exists, Settling, ensured, removed
from newel.connectors.looking import WouldChange, looking
from tests.connectors.support import START, Time, attempt, raised


def shows(*seen: str | None) -> Callable[[], Awaitable[str | None]]:
    """Look and see these, one after the other, the last one for ever."""
    left = list(seen)

    async def look() -> str | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return look


async def create() -> str:
    """Create it."""
    return "new"


async def exists() -> str:
    """Be told that it exists."""
    raise Exists


async def change(found: str, fields: object) -> str:
    """Change it."""
    return f"{found} changed"


async def remove(found: str) -> None:
    """Remove it."""


def differing(fields: dict[str, object]) -> Callable[[str], dict[str, object]]:
    """Find these differences in everything."""
    return lambda _: fields


def ours(found: str) -> str:
    """Take everything for ours but what is strange."""
    if found == "strange":
        raise OwnershipConflict("Not theirs.", evidence="strange")
    return "marker"


@pytest.fixture
def settling(time: Time) -> Settling:
    """Believe in absence after 0, 2 and 60 seconds."""
    return Settling((0, 2, 60), time.clock, time.pause)


async def test_what_is_absent_is_created(settling: Settling):
    """Without doubt one look is enough."""
    reached = await ensured(
        look=shows(None), ours=ours, create=create, settling=settling, what="thing"
    )
    assert reached == Ensured("new", changed=True, evidence="created")


async def test_only_what_differs_is_changed(settling: Settling):
    """Something of ours in another state is changed, in the wanted state left alone."""
    cases: list[tuple[dict[str, object], str, bool]] = [
        ({}, "old", False),
        ({"a": 1}, "old changed", True),
    ]
    for fields, value, changed in cases:
        reached = await ensured(
            look=shows("old"),
            ours=ours,
            create=create,
            differs=differing(fields),
            change=change,
            settling=settling,
            what="thing",
        )
        assert reached == Ensured(value, changed=changed, evidence="marker")


async def test_what_belongs_to_another_is_neither_changed_nor_removed(settling: Settling):
    """Whose it is comes before everything else."""
    await raised(
        ensured(look=shows("strange"), ours=ours, create=create, settling=settling, what="thing"),
        OwnershipConflict,
    )
    await raised(
        removed(look=shows("strange"), ours=ours, remove=remove, settling=settling, what="thing"),
        OwnershipConflict,
    )


async def test_what_cannot_be_changed_is_not_taken_for_wanted(settling: Settling):
    """Something with other content and no way to change it is a conflict that names the fields."""
    conflict = await raised(
        ensured(
            look=shows("old"),
            ours=ours,
            create=create,
            differs=lambda _: {"b": 1, "a": 2},
            settling=settling,
            what="thing",
        ),
        OwnershipConflict,
    )
    assert conflict.evidence == "differs: a, b"


async def test_what_does_not_exist_cannot_be_switched(settling: Settling):
    """An operation that creates nothing refuses to change what is not there."""
    await raised(
        ensured(look=shows(None), ours=ours, create=None, settling=settling, what="thing"), Invalid
    )


async def test_what_exists_is_looked_for_again(settling: Settling, time: Time):
    """Told that it exists, the look-up is repeated at the short settle times."""
    reached = await ensured(
        look=shows(None, None, "late"), ours=ours, create=exists, settling=settling, what="thing"
    )
    assert reached == Ensured("late", changed=False, evidence="marker")
    assert time.pauses == [2]


async def test_a_redo_right_after_a_look_does_not_wait_again(settling: Settling, time: Time):
    """Once verify has found nothing, the redo creates at once."""
    with attempt(time, follows_doubt=True):
        reached = await ensured(
            look=shows(None), ours=ours, create=create, settling=settling, what="thing"
        )
    assert reached.changed
    assert time.pauses == []


async def test_in_doubt_absence_is_believed_after_the_last_settle_time(
    settling: Settling, time: Time
):
    """The short wait is made here, the long one is handed back, an old doubt needs neither."""
    with attempt(time, intended=START), looking():
        early = await raised(settling.look(shows(None)), NotReady)
    assert (time.pauses, early.retry_at) == ([2], START + timedelta(seconds=60))
    time.move(timedelta(seconds=58))
    with attempt(time, intended=START), looking():
        assert await settling.look(shows(None)) is None
    assert time.pauses == [2]


async def test_an_intent_from_the_future_counts_as_fresh(settling: Settling, time: Time):
    """Clocks that disagree make the wait longer, never shorter."""
    with attempt(time, intended=START + timedelta(hours=2)), looking():
        early = await raised(settling.look(shows(None)), NotReady)
    assert early.retry_at == START + timedelta(seconds=60)


async def test_while_looking_a_difference_is_reported_not_mended(settling: Settling):
    """A look ends where something would be changed."""
    with looking():
        await raised(
            ensured(
                look=shows("old"),
                ours=ours,
                create=create,
                differs=lambda _: {"a": 1},
                change=change,
                settling=settling,
                what="thing",
            ),
            WouldChange,
        )


async def test_a_removal_that_still_shows_is_lag(settling: Settling, time: Time):
    """What is still seen after a removal is looked at again; if it stays, it is in doubt."""
    gone = await removed(
        look=shows("old", "old", None), ours=ours, remove=remove, settling=settling, what="thing"
    )
    assert gone == Ensured("old", changed=True, evidence="marker, verified absent")
    assert time.pauses == [2]
    await raised(
        removed(look=shows("old"), ours=ours, remove=remove, settling=settling, what="thing"),
        OutcomeUnknown,
    )


async def test_a_removal_in_doubt_is_looked_at_and_not_sent_again(settling: Settling, time: Time):
    """Until the last settle time a removal in doubt only looks; afterwards it is made once more."""
    sent: list[str] = []

    async def counted(found: str) -> None:
        sent.append(found)

    def again() -> Any:
        return removed(
            look=shows("old", "old", None), ours=ours, remove=counted, settling=settling, what="it"
        )

    intended = time.clock.now()
    with attempt(time, intended=intended, follows_doubt=True), looking():
        await raised(again(), NotReady)
    assert sent == []
    time.move(timedelta(seconds=settling.times[-1]))
    with attempt(time, intended=intended, follows_doubt=True), looking():
        await again()
    assert sent == ["old"]


async def test_what_is_gone_already_is_left_alone(settling: Settling):
    """Removing what is not there changes nothing."""
    reached = await removed(
        look=shows(None), ours=ours, remove=remove, settling=settling, what="thing"
    )
    assert reached == Ensured(None, changed=False, evidence="verified absent")


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nplanted\n"])
def test_a_key_that_is_none_is_refused_without_showing_it(text: str):
    """Something that is no RSA key fails as a credential, and its text stays inside."""
    with pytest.raises(AuthFailed) as refused:
        Assertion().signed({"iss": "x"}, Secret(text))
    assert "planted" not in str(refused.value)
    assert refused.value.__cause__ is None
