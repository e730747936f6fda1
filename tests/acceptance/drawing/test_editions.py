"""Edits of the example company, and what is said of each before anybody deploys it."""

from __future__ import annotations

from newel.drawing.drawing import drawing_of
from newel.drawing.plan import planned
from newel.testing import Saas, running
from newel.testing.journals import exported, judged_from
from newel.testing.plugin import saas  # noqa: F401 - the plugin's fixture, as users have it by name
from tests.acceptance.editions import Edition

APPROVAL = "    await confirmed(hire)\n"


def test_without_the_approval_every_grant_is_told(tmp_path):
    """S21: F601 for each act that gives access, with the way that leads to it; F602 for none."""
    edition = Edition(tmp_path, {"onboarding.py": {APPROVAL: ""}})
    drawing = drawing_of(edition.onboarding)
    told = {each.what: each.code for each in drawing.findings}
    assert set(told.values()) == {"F601"}
    acts = {each.what.split("`")[1] for each in drawing.findings}
    assert {"google.ensure_account", "github.grant[*]", "salesforce.ensure_account"} <= acts
    (grant,) = [what for what in told if "`github.grant[*]`" in what]
    assert grant.endswith("Hire's job? engineer).")


def test_an_approval_whose_answer_nobody_looks_at_is_none(tmp_path):
    """S21: asking is not enough; the path goes on whatever is said."""
    ignored = "    if not decision.approved:\n        raise Rejected(decision)\n"
    edition = Edition(tmp_path, {"onboarding.py": {ignored: ""}})
    codes = {each.code for each in drawing_of(edition.onboarding).findings}
    assert codes == {"F601"}


def test_a_system_without_its_runbook_is_told(tmp_path):
    """S18: a deleted `runbook=` is F505 at each operation of the system that is used, no other."""
    edition = Edition(tmp_path, {"systems.py": {'    runbook=_runbook("slack"),\n': ""}})
    told = {
        (each.code, each.what.split("`")[1]) for each in drawing_of(edition.onboarding).findings
    }
    assert told == {("F505", "slack.ensure_account"), ("F505", "slack.say")}


async def test_a_third_role_changes_no_run_past_the_branch(
    tmp_path,
    saas: Saas,  # noqa: F811 - as above
):
    """S4: one more `case`; a run that waits for its first day goes on as it would have."""
    before = Edition(tmp_path)
    after = Edition(
        tmp_path,
        {
            "people.py": {'SALES = "sales"': 'SALES = "sales"\n    DESIGNER = "designer"'},
            "onboarding.py": {
                "        case Job.OFFICE:": "        case Job.DESIGNER:\n"
                '            await slack.say["designer"]("#design", "A designer!")\n'
                "        case Job.OFFICE:"
            },
        },
    )
    file = tmp_path / "run.json"
    async with running(before.request("office"), at="2026-01-05") as run:
        await run.decide("manager-confirms", approved=True)
        assert run.waiting() == {"first-day"}, run.waits_for()
        file.write_bytes(await run.do(exported(run.engine, run.id)))
        assert "first-day" in {each.key for each in planned(after.request("office")).lines}
    (found,) = judged_from(file, [after.onboarding])
    assert (found.word, found.why) == ("unchanged", "")
