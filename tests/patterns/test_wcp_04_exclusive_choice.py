"""Pattern 4, exclusive choice: one of several, decided by data."""

from __future__ import annotations

from newel import process
from tests.patterns.company import Hire, book, github, salesforce
from tests.patterns.harness import Driver, Pattern, checks


@process(subject=None, owner="it")
async def choice(hire: Hire) -> str:
    """Each role its own."""
    match hire.role:
        case "engineer":
            await github.invite(hire.name)
        case "sales":
            await salesforce.create(hire.name)
        case _:
            pass
    return hire.role


def expects(*effects: str) -> Pattern:
    """The case of the role that gets exactly these."""
    role = {"github.invite": "engineer", "salesforce.create": "sales"}.get("".join(effects), "hr")

    async def play(run: Driver) -> None:
        assert await run.result() == role
        assert tuple(book.order) == effects

    return Pattern(role, choice.request(Hire(role=role)), play)


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    expects("github.invite"), expects("salesforce.create"), expects()
)
