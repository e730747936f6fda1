"""R05: "escalation ticket in your PM tool"."""

from __future__ import annotations

from datetime import timedelta

from newel import Person, process
from newel.base.ids import reference
from newel.simulators.faults import Down, LoseResponse
from tests.acceptance.company_house import CONSOLE
from tests.acceptance.outage import closed, minutes_pass, ticketed, to_github, until_parked

RUNBOOKS = "https://wiki.acme.example/runbooks"


async def test_one_ticket(acme, world):
    """R05: one issue tells system, error, rounds, person and retry; healed, it is closed."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        await until_parked(house, run)
        issue = await ticketed(house, world)
        assert issue["summary"].startswith("[newel] github: no answer since ")
        text = issue["description"]
        person = await house.database.fetchval("select subject from newel.run where id = $1", run)
        for part in (
            "GitHub: no answer",
            "transient",
            "3 rounds",
            f"{CONSOLE}/people/{reference('per', person)}",
            f"{CONSOLE}/runs/{reference('run', run)}/retry",
            f"{RUNBOOKS}/github",
        ):
            assert part in text
        for private in ("Jane", "Doe", "acme.example/", "@", "jane-doe"):
            assert private not in text.replace(CONSOLE, "").replace(RUNBOOKS, "")
        world.github.heal()
        await house.move(timedelta(minutes=2))
        await closed(house)
        (issue,) = world.jira.tickets()
        assert issue["status"] == "Done"
        assert any("1 resumed, 0 open" in each for each in issue["comments"])


async def test_a_lost_answer_leaves_one_issue(acme, world):
    """R05: the POST of the ticket has its effect and no answer: it is searched for, not made."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        world.jira.fail("createIssue", LoseResponse(), times=1)
        await to_github(house, run)
        await until_parked(house, run)
        ours = await house.database.fetchval(
            "select id from newel.run where process = 'newel.incident'"
        )
        for _ in range(8):
            await house.rested(ours)
            if await house.database.fetchval("select count(*) from newel.ticket"):
                break
            await house.move_to_next(ours)
        assert len(world.jira.tickets()) == 1


async def test_twelve_runs_of_one_outage_are_one_issue_with_twelve_links(acme, world):
    """R05: each run that waits is linked to the one issue; all go on when it is over."""

    def more(systems):
        @process(subject=None, owner="it")
        async def invited(name: str) -> None:
            """Invite somebody."""
            person = Person(name=name, email=f"{name}@acme.example", hr_key=name)
            await systems.github.ensure_member(person, name)

        return [invited]

    async with acme(processes=more) as house, house.worker():
        world.github.down()
        first = await house.start("invited", "jane-doe")
        await until_parked(house, first)
        issue = await ticketed(house, world)
        runs = [first]
        for number in range(11):
            runs.append(await house.start("invited", f"p{number}"))
            await house.rested(runs[-1])
        await house.move(timedelta(minutes=2))

        async def linked() -> bool:
            links = world.jira.store.rows("remote_links").values()
            names = {link["global_id"] for link in links}
            return {reference("run", run) for run in runs} <= names

        await house.until(linked)
        assert len(world.jira.tickets()) == 1
        world.github.heal()
        await house.move(timedelta(minutes=6))
        for run in runs:
            assert await house.ended(run) == "completed"
        await closed(house)
        (issue,) = world.jira.tickets()
        assert issue["status"] == "Done"


async def test_jira_down_as_well_gets_its_issue_when_it_answers(acme, world):
    """R05: the inbox takes the incident meanwhile; the tracker is told when it is back."""
    async with acme() as house, house.worker():
        run = await house.reserved()
        world.github.down()
        await to_github(house, run)
        world.jira.fail("*", Down())
        await until_parked(house, run)
        ours = await house.database.fetchval(
            "select id from newel.run where process = 'newel.incident'"
        )

        async def channels() -> list[str]:
            rows = await house.database.fetch("select channel from newel.ticket order by 1")
            return [row["channel"] for row in rows]

        for _ in range(30):
            await house.rested(ours)
            if await channels():
                break
            await house.move_to_next(ours)
        assert await channels() == ["inbox"]
        world.jira.heal()
        for _ in range(6):
            await house.rested(ours)
            if world.jira.tickets():
                break
            await house.move_to_next(ours)
        await house.rested(ours)
        assert await channels() == ["inbox", "jira:OPS"]
        world.github.heal()
        await minutes_pass(house, run, 6)
        await closed(house)
        assert len(world.jira.tickets()) == 1
