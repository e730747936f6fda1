"""R12: a third role is no branch copy.

The example company knows its jobs by an enumeration; a new one is a member of it and one arm of
the one `match` where jobs differ.
"""

from __future__ import annotations

from newel.drawing.drawing import drawing_of
from newel.drawing.regions import Act, walk
from tests.acceptance.editions import Edition

OLD = ("engineer", "sales", "office")
SAY = 'slack.say["designer"]("#design", "A new designer!")'


def test_third_role(tmp_path):
    """R12: one arm is new in the drawing and all ids stay; nobody else's plan changes."""
    before = Edition(tmp_path)
    after = Edition(
        tmp_path,
        {
            "people.py": {'SALES = "sales"': 'SALES = "sales"\n    DESIGNER = "designer"'},
            "onboarding.py": {
                "        case Job.OFFICE:": (
                    f"        case Job.DESIGNER:\n            await {SAY}\n        case Job.OFFICE:"
                ),
            },
        },
    )
    old, new = drawing_of(before.onboarding), drawing_of(after.onboarding)
    assert new.findings == ()
    assert set(new.graph.nodes) - set(old.graph.nodes) == {"slack.say[designer]"}
    assert set(old.graph.nodes) <= set(new.graph.nodes)
    for job in OLD:
        told = [line for line in after.plan(job).lines if line.node != "slack.say[designer]"]
        assert told == list(before.plan(job).lines)
    designer = {each.node for each in after.plan("designer").lines if each.forecast != "not-needed"}
    office = {each.node for each in before.plan("office").lines if each.forecast != "not-needed"}
    assert designer - office == {"slack.say[designer]"}
    assert office <= designer
    assert sum(isinstance(each, Act) for each in walk(new.tree)) == 1 + sum(
        isinstance(each, Act) for each in walk(old.tree)
    )
