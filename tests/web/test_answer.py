"""`people.answer`: what the command line asks, on a real database."""

from __future__ import annotations

import random
from uuid import UUID
from zoneinfo import ZoneInfo

from newel.domain.search import grams
from newel.people import answer, found
from newel.store.queries import queries
from tests.acceptance.company_house import hire

BERLIN = ZoneInfo("Europe/Berlin")


async def asked(house, text):
    """Ask where somebody stands."""
    return await answer(house.database, text, await house.now(), BERLIN)


async def test_one_person_is_answered_with_the_sentence(house):
    """By name, mistyped name, address and reference: the same sentence."""
    run = await house.onboard()
    ref = (await house.row(run))["subject"]
    known = await found(house.database, "jane.doe@acme.example")
    texts = ["Jane Doe", "Jnae Doe", "JANE.DOE@acme.example", f"per_{_digits(ref)}"]
    sentences = {(await asked(house, text)).status.sentence for text in texts}
    assert sentences == {"Jane Doe's onboarding has begun. Everything is on track."}
    assert known[0].person.manager == "Priya Manager"


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


async def test_the_search_reads_the_index_and_finds_one_in_many(house):
    """Among twenty thousand people a mistyped name is found by the index on trigrams."""
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
    statement = queries("people").candidates
    telling = [gram for gram in grams("Jnae Doe") if not gram.startswith("  ")]
    plan = await house.database.fetch(
        f"explain {statement}", "Jnae Doe", grams("Jnae Doe"), telling, 50
    )
    assert hits[0].person.name == "Jane Doe"
    assert "person_grams" in "\n".join(row[0] for row in plan)


def _digits(ref):
    """The 26 digits of a reference, written by hand."""
    alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(alphabet[ref.int >> shift & 31] for shift in range(125, -1, -5))
