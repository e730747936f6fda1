"""`newel person erase`: two people, a reference, and what is refused in a sentence."""

from __future__ import annotations

from newel.base.ids import reference
from tests.cli.test_keys import rows
from tests.cli.test_verbs import ALICE, start

BEN = "ben.example@acme.example"


def test_two_people_erase_a_third(deployed, newel, work):
    """Ordered, refused while something is open, confirmed by somebody else, told as JSON."""
    run = start(newel).document["run"]
    work()
    (row,) = rows("select subject from newel.run where process = 'onboarding'")
    person = reference("per", row["subject"])
    said = ("--reason", "She has asked for it, says O'Hara. 🦊", "--actor", ALICE)
    refused = newel("person", "erase", person, *said)
    assert (refused.status, run in refused.err) == (1, True)
    newel("cancel", run, "--actor", ALICE, "--reason", "Not any more.")
    work()
    ordered = newel("person", "erase", person, *said)
    assert (ordered.status, "Somebody else has to confirm" in ordered.out) == (0, True), ordered.err
    alone = newel("person", "erase", person, "--confirm", "--actor", ALICE)
    assert (alone.status, "a second person" in alone.err) == (1, True)
    done = newel("person", "erase", person, "--confirm", "--actor", BEN, "--json")
    assert (done.status, done.document["keys"]) == (0, 1), done.err
    for wrong in ("jane.doe@acme.example", run, "per_x"):
        told = newel("person", "erase", wrong, "--confirm", "--actor", BEN)
        assert (told.status, "There is no person" in told.err) == (1, True)
    assert newel("status", run).status == 0
    assert newel("runs").status == 0


def test_the_key_that_peoples_keys_lie_under_changes(deployed, newel, work):
    """A reason, a new key, and the old one not destroyed before others know the new one."""
    start(newel)
    work()
    assert newel("person", "rotate-key", "--actor", ALICE).status == 1
    said = newel("person", "rotate-key", "--reason", "Monthly.", "--actor", ALICE, "--json")
    assert said.document["keys"] > 0
    early = newel("person", "rotate-key", "--retire")
    assert (early.status, "seconds more" in early.err) == (1, True)


def test_a_person_is_held_and_released(deployed, newel, work):
    """Each with a reason; a name is not enough to say who."""
    start(newel)
    work()
    (row,) = rows("select subject from newel.run where process = 'onboarding'")
    who = reference("per", row["subject"])
    said = ("--reason", "Case 12.", "--actor", ALICE)
    assert newel("person", "hold", who, *said).status == 0
    assert newel("person", "hold", who, *said).status == 1
    assert "no longer" in newel("person", "hold", who, "--release", *said).out
    assert newel("person", "hold", "Alice", *said).status == 1
