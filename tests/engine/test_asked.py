"""Who is asked: by a work address, or as the owner of a system."""

from __future__ import annotations

import pytest

from newel import Person, approval, form, owner_of, process
from newel.audit.leaf import Actor
from newel.base.errors import DefinitionError, SelfApproval
from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.testing import every_crash, running

MARY = Person(name="Mary Major", email="mary@example.com")
JANE = Person(name="Jane Doe", email="jane@example.com", manager=MARY)


@process(owner="it")
async def asking(hire: Person, address: str) -> bool:
    """Whoever has the address decides."""
    return (await approval("agree", by=address)).approved


async def test_somebody_is_asked_by_their_work_address():
    """The task is theirs, however the address is spelled, and the address stays out of its row."""

    async def play(crash=None):
        async with running(asking.request(JANE, "Mary@Example.com"), crash=crash) as run:
            (opened,) = [leaf for leaf in run.audit() if leaf["type"] == "task.opened"]
            (asked,) = opened["data"]["assignees"]
            assert "ary@" not in str(run.acts()).lower()
            stranger = Actor(type="person", id=opened["subject"], via="api")
            with pytest.raises(SelfApproval):
                await run.decide("agree", approved=True, actor=stranger)
            await run.decide("agree", approved=True)
            decided = [leaf for leaf in run.audit() if leaf["type"] == "task.decided"]
            assert [leaf["actor"]["id"] for leaf in decided] == [asked]
            assert await run.result() is True

    await play()
    for crash in await every_crash(play):
        await play(crash)


async def test_an_address_that_newel_does_not_know_parks_the_run_until_it_does():
    """No task is opened that nobody has; once the person is known, the run goes on."""
    async with running(asking.request(JANE, "new@example.com")) as run:
        parked = run.parked()[""]
        assert parked.reason == "bug"
        assert "whom newel does not know" in parked.sentence
        await run.retry()
        assert run.state == "parked"
        newcomer = Person(name="New", email="new@example.com")
        other = await run.start(asking.request(newcomer, "mary@example.com"))
        assert other.waiting() == {"agree"}
        await run.retry()
        assert run.waiting() == {"agree"}


@pytest.mark.parametrize("word", [approval, form])
def test_a_name_without_an_at_is_no_address(word):
    """It is refused where it is said, with the words for a team."""
    with pytest.raises(DefinitionError, match=r'team\("hr"\)'):
        word("agree", by="hr")


def test_the_owner_of_a_system_is_the_team_that_it_was_given():
    """IT, where nothing is said."""
    token = SecretRef("env:NEWEL_GITHUB_TOKEN")
    assert owner_of(GitHub(org="acme", token=token, owner="platform")).name == "platform"
    assert owner_of(GitHub(org="acme", token=token)).name == "it"
