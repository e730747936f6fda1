"""`newel draw` and `newel plan`: a process as it is drawn, and what a run comes to."""

from __future__ import annotations

import json

import pytest


def test_a_process_is_drawn_without_a_database(newel, project):
    """As a list, as a flowchart, and in the stored form; the same bytes each time."""
    listed = newel("draw", "onboarding")
    assert listed.status == 0
    assert "- First day (moment, at hire.starts_at) `first-day`" in listed.out
    chart = newel("draw", "onboarding", "--format", "mermaid").out
    assert chart.startswith("flowchart TD\n")
    assert newel("draw", "onboarding", "-o", "x.mmd", "--format", "mermaid").status == 0
    assert (project / "x.mmd").read_text("utf-8") == chart
    stored = json.loads(newel("draw", "onboarding", "--format", "json").out)
    assert (stored["schema"], stored["process"]) == ("newel.drawing/1", "onboarding")
    picture = newel("draw", "onboarding", "--format", "svg").out
    assert picture.startswith("<svg ")
    assert (">GitHub<" in picture, ">Github<" in picture) == (True, False)
    standard = newel("draw", "onboarding", "--format", "bpmn").out
    assert standard.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<definitions ')
    assert newel("draw", "nothing").status == 1


def test_a_run_that_would_start_is_planned_without_a_database(newel, project):
    """Each act with its key, and why it comes or not."""
    planned = newel("plan", "onboarding", "--input", "example.json", "--json").document
    lines = {each["key"] or each["node"]: each for each in planned["lines"]}
    assert lines["manager-confirms"]["forecast"] == "will-run"
    assert lines["salesforce.ensure_account"]["forecast"] == "not-needed"
    row = planned["critical_path"]
    printed = newel("plan", "onboarding", "--input", "example.json").out
    assert f"The longest row has {len(row)} steps: google.reserve_address → " in printed
    assert newel("plan", "onboarding", "--input", "{}").status == 1
    assert not (project / ".newel").exists()


@pytest.mark.usefixtures("deployed")
def test_a_run_under_way_is_planned_and_drawn(newel):
    """What it waits for is told in the plan and in the list."""
    started = newel("start", "onboarding", "--input", "example.json", "--json")
    run = started.document["run"]
    lines = newel("plan", run, "--json").document["lines"]
    assert lines[0]["key"] == "google.reserve_address"
    assert newel("draw", "onboarding", "--run", run).out.count("not needed") == 0
    printed = newel("plan", run).out
    assert "ACT" in printed


@pytest.mark.usefixtures("deployed")
def test_the_status_of_a_run_can_tell_its_plan(newel):
    """One sentence with the counts, the same as of the plan; for programs inside one document."""
    started = newel("start", "onboarding", "--input", "example.json", "--json")
    run = started.document["run"]
    sentence = newel("plan", run, "--json").document["sentence"]
    assert "steps are done. " in sentence
    printed = newel("status", run, "--plan").out
    assert sentence in printed
    assert "not-needed" in printed
    told = newel("status", run, "--plan", "--json").document
    assert (told["run"], told["plan"]["sentence"]) == (run, sentence)
    assert told["plan"]["lines"][0]["key"] == "google.reserve_address"
    assert sentence not in newel("status", run).out
    assert newel("status", "Jane Doe", "--plan").status == 1
