"""`people.answer`: what the command line asks, on a real database."""

from __future__ import annotations

import random
from dataclasses import replace
from uuid import UUID
from zoneinfo import ZoneInfo

from newel.base.ids import reference
from newel.domain.search import grams
from newel.engine.vault import Vault
from newel.people import answer, found
from tests.acceptance.company_house import hire
from tests.web.test_pages import text_of

BERLIN = ZoneInfo("Europe/Berlin")


async def asked(house, text):
    """Ask where somebody stands."""
    now = await house.now()
    return await answer(house.database, text, now, BERLIN, house.engine.planner.ahead)


async def test_one_person_is_answered_with_the_sentence(house):
    """By name, mistyped name, address and reference: the same sentence."""
    run = await house.onboard()
    ref = (await house.row(run))["subject"]
    known = await found(house.database, "jane.doe@acme.example")
    texts = ["Jane Doe", "Jnae Doe", "JANE.DOE@acme.example", f"per_{_digits(ref)}"]
    sentences = {(await asked(house, text)).status.sentence for text in texts}
    assert sentences == {"Jane Doe's onboarding: 0 of 5 systems are ready. Everything is on track."}
    assert known[0].person.manager == "Priya Manager"


async def test_the_counts_are_those_of_the_plan_from_the_start_to_the_end(house, scene, client):
    """As work goes on systems get ready, out of as many as the plan has had from the start.

    The command line's answer, the API and the page say the same sentence at each point. Steps are
    those of the plan itself. A declined run, and one whose code is gone, count what is there.
    """
    async with house.worker():
        run = await scene.asked()
        at_first = await _told(house, client, run)
        scene.house.world.simulators["github"].faults.add(scene.down)
        await house.approve(await house.task(run))
        await house.at_rest(run)
        await scene.until_parked(run)
        held_up = await _told(house, client, run)
        await scene.healed(run)
        assert await house.finish(run) == "completed"
        at_last = await _told(house, client, run)
    assert "onboarding: 0 of 5 systems are ready" in at_first
    assert "onboarding: 3 of 5 systems are ready" in held_up
    assert "all 5 systems are ready" in at_last


async def _told(house, client, run):
    """The sentence, which every surface says; while the run is open with the counts of its plan."""
    row = await house.row(run)
    person = reference("per", row["subject"])
    said = (await client.get(f"/api/v1/people/{person}/status?zone=Europe/Berlin")).json()
    page = (await client.get(f"/people/{person}")).text
    assert said["sentence"] == (await asked(house, "Jane Doe")).status.sentence
    assert said["sentence"] in text_of(page)
    if row["finished_at"] is None:
        plan = (await client.get(f"/api/v1/runs/{reference('run', run)}/plan")).json()
        assert said["steps"] == {name: plan[name] for name in ("done", "total", "perhaps")}
    else:
        assert said["steps"] is None
    return said["sentence"]


async def test_without_its_code_or_its_key_a_run_counts_what_is_there(house, tmp_path):
    """A console of other code, and one that cannot open the journal, tell what rows alone tell."""
    await house.onboard()
    planner = house.engine.planner
    for blind in (
        replace(planner, processes={}),
        replace(planner, vault=Vault.at(tmp_path / "another")),
    ):
        found = await answer(house.database, "Jane Doe", await house.now(), BERLIN, blind.ahead)
        assert found.status is not None
        assert found.status.sentence == "Jane Doe's onboarding has begun. Everything is on track."


async def test_several_people_are_listed_and_none_is_chosen(house):
    """Two of one name come back with addresses to tell them apart, without a status."""
    await house.start("onboarding", hire())
    await house.start("onboarding", hire(email="jane.doe2@acme.example", job="office"))
    several = await asked(house, "Jane Doe")
    assert several.status is None
    assert {hit.person.email for hit in several.hits} == {
        "jane.doe@acme.example",
        "jane.doe2@acme.example",
    }


async def test_nobody_is_answered_with_nobody(house):
    """A name, a reference and a reference of something else that nobody has: no hit."""
    for text in ("Xaver Quist", "per_00000000000000000000000001", "run_00000000000000000000000001"):
        nobody = await asked(house, text)
        assert (nobody.hits, nobody.status) == ((), None)


async def test_the_search_finds_one_in_many(house):
    """Among twenty thousand people a mistyped name is found."""
    chance = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = [
        f"{''.join(chance.choices(letters, k=6))} {''.join(chance.choices(letters, k=8))}".title()
        for _ in range(20_000)
    ]
    async with house.database.transaction() as connection:
        await connection.executemany(
            "insert into newel.person (ref, display_name, work_email, search_grams) "
            "values ($1, $2, $3, $4)",
            [
                (UUID(int=place + 1), name, f"p{place}@acme.example", grams(name))
                for place, name in enumerate(names)
            ],
        )
    await house.onboard()
    await house.database.execute("analyze newel.person")
    hits = await found(house.database, "Jnae Doe")
    assert hits[0].person.name == "Jane Doe"


async def test_among_many_of_one_name_the_one_who_is_meant_is_found(house):
    """Where every trigram stands in thousands, pairs and whole words still tell one of them."""
    firsts, lasts = ("Jane", "Omar", "Mei", "Paul"), ("Doe", "Park", "Sato", "Rossi")
    async with house.database.transaction() as connection:
        await connection.executemany(
            "insert into newel.person (ref, display_name, work_email, search_grams) "
            "values ($1, $2, $3, $4)",
            [
                (UUID(int=place + 1), name, email, grams(name, email))
                for place in range(6_000)
                for name in [f"{firsts[place % 2]} {lasts[place // 2 % 2]}"]
                for email in [f"p{place}@acme.example"]
            ]
            + [
                (
                    UUID(int=7_000),
                    "Jane Sato",
                    "js@acme.example",
                    grams("Jane Sato", "js@acme.example"),
                ),
                (
                    UUID(int=7_001),
                    "Paul Doe",
                    "pd@acme.example",
                    grams("Paul Doe", "pd@acme.example"),
                ),
            ],
        )
    await house.database.execute("analyze newel.person")
    for typed, meant in (
        ("Jane Saot", "Jane Sato"),
        ("Pauul Doe", "Paul Doe"),
        ("jnae sato", "Jane Sato"),
    ):
        assert [hit.person.name for hit in await found(house.database, typed)][:1] == [meant]


def _digits(ref):
    """The 26 digits of a reference, written by hand."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(alphabet[ref.int >> shift & 31] for shift in range(125, -1, -5))
