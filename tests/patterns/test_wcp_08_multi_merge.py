"""Pattern 8, multi-merge: what follows runs once for each branch that arrives."""

from __future__ import annotations

from newel import parallel, process
from tests.patterns.company import announce, book, github, jira
from tests.patterns.harness import Driver, Pattern, checks


async def github_ready(name: str) -> None:
    """One branch with its own tail."""
    await github.invite(name)
    await announce["github"](name)


async def jira_ready(name: str) -> None:
    """Another with the same act behind it."""
    await jira.create(name)
    await announce["jira"](name)


@process(subject=None, owner="it")
async def merged(name: str) -> int:
    """Both, each announced by itself."""
    await parallel(github_ready(name), jira_ready(name))
    return 2


async def play(run: Driver) -> None:
    """Each announcement comes after its own branch, and does not wait for the other."""
    assert await run.result() == 2
    assert book.place("announce[github]") > book.place("github.invite")
    assert book.place("announce[jira]") > book.place("jira.create")


async def play_late(run: Driver) -> None:
    """The announcement of one is made while the other is still in the air."""
    assert await run.result() == 2
    assert book.place("announce[github]") < book.place("jira.create")


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("both", merged.request("jane"), play),
    Pattern(
        "late", merged.request("jane"), play_late, until=(("jira.create", "announce[github]"),)
    ),
)
