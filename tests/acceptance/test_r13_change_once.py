"""R13: what all roles share is changed in one place."""

from __future__ import annotations

import difflib

import pytest

from tests.acceptance.editions import Edition

JOBS = ("engineer", "sales", "office")


@pytest.mark.parametrize("job", JOBS)
def test_the_plan_of_each_role_is_the_committed_one(golden_plan, tmp_path, job):
    """R13: what an onboarding would do is committed for every role, with the reasons."""
    golden_plan(Edition(tmp_path).request(job), name=job)


def test_change_once(tmp_path):
    """R13: one line of the process is changed, and each role's plan differs in that step only."""
    before = Edition(tmp_path)
    edit = {"        slack.ensure_account(hire),": "        slack.reactivate(hire),"}
    after = Edition(tmp_path, {"onboarding.py": edit})
    for job in JOBS:
        old, new = before.plan(job).as_text(), after.plan(job).as_text()
        differs = [
            line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"
        ]
        assert [line.partition(":")[0] for line in differs] == [
            "- slack.ensure_account",
            "+ slack.reactivate",
        ]
