"""`newel doctor`: its status says how it is, its findings say what helps."""

from __future__ import annotations


def test_what_is_wrong_is_told_with_its_fix(deployed, newel):
    """The database of these tests is careless about power cuts: an error, with the statement."""
    said = newel("doctor")
    assert said.status == 1
    assert "ERROR durability: " in said.out
    assert "Fix: alter system set fsync = on;" in said.out
    assert "errors" in said.out.splitlines()[-1]


def test_findings_are_json_for_machines(deployed, newel):
    """Each has its code, level, sentence, reason and fix."""
    said = newel("doctor", "--json")
    assert said.status == said.document["status"] == 1
    for each in said.document["findings"]:
        assert set(each) == {"code", "level", "what", "why", "fix", "where"}


def test_a_database_that_does_not_answer_is_a_finding(deployed, newel, monkeypatch):
    """Nobody listens there: said as everything else is, and without the address's password."""
    monkeypatch.setenv("NEWEL_DATABASE_URL", "postgresql://newel:hush@127.0.0.1:1/newel")
    said = newel("doctor")
    assert (said.status, "ERROR reachable" in said.out) == (1, True)
    assert "hush" not in said.out + said.err
