"""`newel doc`: the dossiers as files, and a pipeline that refuses stale ones."""

from __future__ import annotations

import json

DOSSIER = "docs/processes/onboarding"


def written(folder) -> dict[str, bytes]:
    """Give every file below a folder with its bytes."""
    files = (each for each in sorted(folder.rglob("*")) if each.is_file())
    return {str(each.relative_to(folder)): each.read_bytes() for each in files}


def test_dossiers_are_written_and_compared(newel, project):
    """The same code gives the same bytes, and every way to be stale fails the check by name."""
    missing = newel("check", "--docs")
    assert (missing.status, missing.out.count("is missing")) == (1, 6)
    assert newel("doc").out.startswith("6 files are written")
    files = written(project / "docs" / "processes")
    assert list(files) == [
        "onboarding/dossier.json",
        "onboarding/drawing.bpmn",
        "onboarding/drawing.mmd",
        "onboarding/drawing.svg",
        "onboarding/index.md",
        "systems.md",
    ]
    assert newel("doc", "onboarding", "-o", "again").status == 0
    assert written(project / "again") == {
        name: each for name, each in files.items() if name != "systems.md"
    }
    assert newel("doc", "--check").status == newel("check", "--docs").status == 0
    page = project / DOSSIER / "index.md"
    page.write_text(page.read_text("utf-8").replace("- Owner: hr", "- Owner: it"), "utf-8")
    (project / DOSSIER / "drawing.svg").unlink()
    gone = project / "docs" / "processes" / "farewell"
    gone.mkdir()
    (gone / "dossier.json").write_text("{}")
    for stale in (newel("doc", "--check"), newel("check", "--docs")):
        assert stale.status == 1
        assert "onboarding/index.md: is stale\n  -- Owner: it\n  +- Owner: hr\n" in stale.out
        assert "onboarding/drawing.svg: is missing" in stale.out
        assert "farewell: is no process any more; delete the folder" in stale.out
    assert len(newel("check", "--docs", "--format", "json").document["stale"]) == 3
    notes = newel("check", "--docs", "--format", "github").out.splitlines()
    assert [each.partition("title=dossier::")[0] for each in notes] == ["::error "] * 3
    assert newel("check").status == 0
    assert newel("doc", "nothing").status == 1
    assert not (project / ".newel").exists()


def test_a_dossier_says_what_the_inventory_says(newel, project):
    """Permissions, owner, what follows a failure, mails and undo are those of the operation."""
    assert newel("doc").status == 0
    facts = json.loads((project / DOSSIER / "dossier.json").read_bytes())
    rows = {(each["system"], each["operation"]): each for each in facts["rows"] if each["system"]}
    used = newel("inventory", "--used", "--json").document["operations"]
    assert {(each["system"], each["operation"]) for each in used} == set(rows)
    for each in used:
        row = rows[each["system"], each["operation"]]
        assert (row["needs"], row["owner"], row["on_failure"], row["mails"]) == (
            each["needs"],
            each["owner"],
            each["on_failure"],
            each["mails"],
        )
        assert (row["reversible"] or "-", row["undo"] or "-") == (each["reversible"], each["undo"])
        assert row["limit"].startswith(each["sla"])
    systems = (project / "docs" / "processes" / "systems.md").read_text("utf-8")
    github = next(line for line in systems.splitlines() if line.startswith("| GitHub"))
    assert "| `administration:write`<br>`members:write` |" in github  # `members:read` is in it
