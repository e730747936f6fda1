"""C32: an invitation to GitHub is accepted on day 2, or expires and is sent exactly once more."""

from __future__ import annotations

from newel import SecretRef, days, hours, minutes, parallel, process, timer
from newel.connectors.github import GitHub
from newel.domain.people import Person
from newel.testing import Saas, running
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name

github = GitHub(org="acme-example", token=SecretRef("env:GITHUB_TOKEN"))


@process(subject=None, owner="it")
async def joining(person: Person, username: str) -> str:
    """Invite, wait until they accept, invite once more when the invitation has expired."""
    await github.ensure_member(person, username)
    was_invited_again = False
    while (state := await github.standing(person, username)) != "active":
        if state == "over":
            if was_invited_again:
                return "gave up"
            await github.ensure_member["again"](person, username)
            was_invited_again = True
        await timer("invitation-poll", after=hours(6))
    return "joined"


@process(subject=None, owner="it")
async def gathering(people: tuple[str, ...]) -> int:
    """Look at many people's invitations at the same moment, at three moments."""
    for _ in range(3):
        await parallel(
            *[
                github.standing[each](Person(name=each, email=f"{each}@acme.example"), each)
                for each in people
            ]
        )
        await timer("poll", after=minutes(15))
    return len(people)


JANE = Person(name="Jane Doe", email="jane.doe@acme.example", hr_key="4711")


async def test_the_wait_ends_when_she_accepts(saas: Saas) -> None:  # noqa: F811 - as above
    """Accepted on day 2: seen at the next look, one invitation."""
    async with running(joining.request(JANE, "jane-doe")) as run:
        run.clock.advance(days(2))
        saas.github.accept_invitation("jane-doe")
        run.clock.advance(hours(6) + minutes(1))
        assert await run.result() == "joined"
    assert len(saas.github.calls("orgs/set-membership-for-user", committed=True)) == 1


async def test_an_expired_invitation_is_sent_exactly_once_more(saas: Saas) -> None:  # noqa: F811 - as above
    """After day 7 there is one more invitation, and after day 14 no third."""
    async with running(joining.request(JANE, "jane-doe")) as run:
        run.clock.advance(days(7) - hours(1))
        assert len(saas.github.calls("orgs/set-membership-for-user", committed=True)) == 1
        run.clock.advance(hours(7))
        invited = saas.github.calls("orgs/set-membership-for-user", committed=True)
        assert len(invited) == 2
        run.clock.advance(days(8))
        assert await run.result() == "gave up"
    assert len(saas.github.calls("orgs/set-membership-for-user", committed=True)) == 2


async def test_thirty_people_who_wait_cost_one_listing(saas: Saas) -> None:  # noqa: F811 - as above
    """At each due time the open invitations are listed once, however many people wait."""
    people = tuple(f"person-{number}" for number in range(30))
    world = saas.world.github
    org = world.store.find("orgs", "acme-example")
    owner = world.known_credential(world.credentials()["GITHUB_TOKEN"])
    assert org is not None
    assert owner is not None
    for each in people:
        world.invite(
            org,
            login=each,
            email=None,
            role="member",
            inviter=owner,
        )
    async with running(gathering.request(people), connectors=[github]) as run:
        run.clock.advance(hours(1))
        assert await run.result() == 30
    listings = saas.github.calls("orgs/list-pending-invitations")
    assert len(listings) == 3
    assert saas.github.calls("orgs/get-membership-for-user") == []
