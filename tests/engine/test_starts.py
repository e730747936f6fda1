"""Starts: one run for one request, one open run for one person, nothing half made."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from datetime import date, timedelta

import pytest

from newel.base.errors import AlreadyStarted, InvalidInput, NotFound, Refused
from newel.base.ids import parse_reference, reference
from newel.domain.people import Person, manager_of
from newel.domain.values import Effect
from newel.flow.context import ATTEMPT
from newel.flow.process import process
from newel.flow.step import step
from newel.flow.waits import approval, timer
from newel.store import changes
from tests.engine.house import OPERATOR, House, named
from tests.engine.test_waits import result

MARY = {"name": "Mary Quantock-Riseholme", "email": "mary.quantock@example.com"}
JANE = {
    "name": "Jane Zyxwvuts-Doe",
    "email": "jane.zyxwvuts@example.com",
    "hr_key": "E-77123",
    "manager": MARY,
}


@dataclass(frozen=True, kw_only=True)
class Hire:
    """What an onboarding starts from."""

    person: Person
    first_day: date
    buddies: tuple[Person, ...] = ()


@process(owner="hr", subject=lambda hire: hire.person)
async def waiting(hire: Hire) -> None:
    """Wait for the first day."""
    await timer("first-day", after=timedelta(days=30))


@process(owner="hr", subject=None)
async def about_nobody(title: str) -> str:
    """A run without a subject."""
    return title


def document(**person: object) -> dict[str, object]:
    """The input of a start, with another person where it is given."""
    return {"person": {**JANE, **person}, "first_day": "2026-01-05"}


async def rows_of(house: House) -> dict[str, int]:
    """How many rows every table has."""
    tables = await house.database.fetch(
        "select table_name from information_schema.tables "
        "where table_schema = 'newel' and table_type = 'BASE TABLE' order by 1"
    )
    return {
        each["table_name"]: await house.database.fetchval(
            f'select count(*) from newel."{each["table_name"]}"'
        )
        for each in tables
    }


class TestTheSameRequest:
    """One idempotency key makes one run, whatever happens."""

    async def test_sent_twice_it_gives_the_same_run(self, build):
        """The second answer says that nothing new was made."""
        async with build([waiting]) as house:
            first = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            before = await rows_of(house)
            second = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            assert (first.is_new, second.is_new) == (True, False)
            assert (first.run, first.person) == (second.run, second.person)
            assert await rows_of(house) == before

    @pytest.mark.parametrize("name", ["waiting", "about_nobody"])
    async def test_sent_ten_times_at_once_it_gives_one_run(self, build, name):
        """All ten callers get the same answer, one of them the news."""
        body: object = document() if name == "waiting" else "same"
        async with build([waiting, about_nobody]) as house:
            answers = await asyncio.gather(
                *(
                    house.engine.start(name, body, actor=OPERATOR, idempotency_key="k")
                    for _ in range(10)
                )
            )
            assert len({each.run for each in answers}) == 1
            assert [each.is_new for each in answers].count(True) == 1
            assert await house.database.fetchval("select count(*) from newel.run") == 1

    async def test_sent_again_after_a_crash_it_starts_afresh_or_finds_its_run(self, build):
        """Rolled back before the commit nothing is left; after it, the run is there."""
        async with build([waiting]) as house:
            before = await rows_of(house)
            real = changes.apply

            async def dying(*args, **more):
                await real(*args, **more)
                raise ConnectionResetError("the server of the API dies here")

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("newel.engine.beginning.apply", dying)
                with pytest.raises(ConnectionResetError):
                    await house.engine.start(
                        "waiting", document(), actor=OPERATOR, idempotency_key="k"
                    )
            assert await rows_of(house) == before
            again = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            assert again.is_new
            assert await house.database.fetchval("select count(*) from newel.run") == 1

    async def test_a_key_with_another_body_is_refused(self, build):
        """The answer names the run that the key has started."""
        async with build([waiting]) as house:
            first = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            before = await rows_of(house)
            with pytest.raises(AlreadyStarted) as refused:
                await house.engine.start(
                    "waiting", document(name="Other"), actor=OPERATOR, idempotency_key="k"
                )
            assert (refused.value.run, refused.value.idempotency_key) == (named(first.run), "k")
            assert await rows_of(house) == before

    async def test_the_order_of_fields_does_not_matter(self, build):
        """The same document written another way is the same request."""
        async with build([waiting]) as house:
            first = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            turned = dict(reversed(document().items()))
            second = await house.engine.start(
                "waiting", turned, actor=OPERATOR, idempotency_key="k"
            )
            assert second.run == first.run


class TestTheSamePerson:
    """One open run of a process for one person."""

    async def test_a_second_start_names_the_open_run(self, build):
        """Also without any key; after the end of the first, a second may start."""
        async with build([waiting]) as house, house.worker():
            first = await house.start("waiting", document())
            assert await house.rested(first) == "waiting"
            before = await rows_of(house)
            with pytest.raises(AlreadyStarted) as refused:
                await house.engine.start("waiting", document(), actor=OPERATOR)
            assert refused.value.run == named(first)
            assert {**await rows_of(house), "event_batch": 0, "event": 0} == {
                **before,
                "event_batch": 0,
                "event": 0,
            }
            await house.engine.cancel(first, actor=OPERATOR, reason="again")
            house.poke()
            assert await house.ended(first) == "cancelled"
            second = await house.engine.start("waiting", document(), actor=OPERATOR)
            assert second.is_new
            assert second.person == (await house.row(first))["subject"]

    @pytest.mark.parametrize("is_known", [True, False])
    async def test_of_parallel_starts_one_wins_and_the_others_are_told(self, build, is_known):
        """Whether the person is known or registered by the start itself: a clear refusal."""
        async with build([waiting, about_nobody]) as house:
            if is_known:
                await house.engine.actor(JANE["email"], via="api")
            answers = await asyncio.gather(
                *(house.engine.start("waiting", document(), actor=OPERATOR) for _ in range(6)),
                return_exceptions=True,
            )
            losers = [each for each in answers if isinstance(each, BaseException)]
            assert [type(each) for each in losers] == [AlreadyStarted] * 5
            winner = next(each for each in answers if not isinstance(each, BaseException))
            assert {each.run for each in losers if isinstance(each, AlreadyStarted)} == {
                named(winner.run)
            }
            assert await house.database.fetchval("select count(*) from newel.run") == 1
            assert await house.database.fetchval("select count(*) from newel.person") == 2

    async def test_parallel_starts_of_many_people_with_one_manager_all_work(self, build):
        """People who share a manager that nobody knows yet do not stand in each other's way."""
        async with build([waiting]) as house:
            answers = await asyncio.gather(
                *(
                    house.engine.start(
                        "waiting",
                        document(name=f"P{n}", email=f"p{n}@example.com", hr_key=None),
                        actor=OPERATOR,
                    )
                    for n in range(12)
                )
            )
            assert len({each.run for each in answers}) == 12
            assert await house.database.fetchval("select count(*) from newel.person") == 13


class TestInput:
    """What is wrong is told by field, and nothing is written."""

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"person", "first_day"}),
            ({"person": {"name": "J"}, "first_day": "2026-01-05"}, {"person.email"}),
            ({**document(), "extra": 1}, {"extra"}),
            (document(manager={"name": "M"}), {"person.manager.email"}),
            ({"person": JANE, "first_day": "soon"}, {"first_day"}),
            (None, {""}),
            ("text", {""}),
            (document(name="nul\0"), {"person.name"}),
            (document(name="half \ud800"), {""}),
            (document(name=2**70), {""}),
            (document(email="no address"), {"person.email"}),
            (document(manager={"name": "M", "email": "m"}), {"person.manager.email"}),
            (document(ref="per_nonsense"), {"person.ref"}),
            (document(ref="run_01j9zk7q3m8t5v2x4y6a8b0c1d"), {"person.ref"}),
            (document(ref="per_01j9zk7q3m8t5v2x4y6a8b0c1d"), {"person.ref"}),
        ],
    )
    async def test_problems_are_told_by_field_and_nothing_is_written(self, build, body, fields):
        """Every table has as many rows as before."""
        async with build([waiting]) as house:
            before = await rows_of(house)
            with pytest.raises(InvalidInput) as refused:
                await house.engine.start("waiting", body, actor=OPERATOR, idempotency_key="k")
            assert set(refused.value.fields) == fields
            assert await rows_of(house) == before
            made = await house.engine.start(
                "waiting", document(), actor=OPERATOR, idempotency_key="k"
            )
            assert made.is_new

    async def test_an_unknown_process_is_not_found(self, build):
        """Nor can anybody start a process of newel's own."""
        async with build([waiting]) as house:
            for name in ("unknown", "newel.incident"):
                with pytest.raises(NotFound):
                    await house.engine.start(name, {}, actor=OPERATOR)

    @pytest.mark.parametrize(
        "name",
        ["Conan O'Brien", "Zoë 🚀 Ünïcode", "مُحَمَّد بن سلمان", "'; drop table person;--", "𝕁𝕠𝕖"],
    )
    async def test_names_of_all_scripts_just_work(self, build, name):
        """Apostrophes, emoji, right-to-left script: the name is kept as it was given."""
        async with build([waiting]) as house, house.worker():
            run = await house.start("waiting", document(name=name))
            assert await house.rested(run) == "waiting"
            subject = (await house.row(run))["subject"]
            kept = await house.database.fetchval(
                "select display_name from newel.person where ref = $1", subject
            )
            assert kept == name

    async def test_two_people_of_one_input_are_never_taken_for_one(self, build):
        """An employee number of one and an address of another are refused, not guessed about."""
        async with build([waiting]) as house:
            await house.engine.start("waiting", document(), actor=OPERATOR)
            mixed = document(email=MARY["email"], manager=None)
            before = await rows_of(house)
            with pytest.raises(InvalidInput):
                await house.engine.start("waiting", mixed, actor=OPERATOR)
            assert await rows_of(house) == before

    async def test_a_second_jane_is_never_taken_for_the_first(self, build):
        """The same address with another number is refused: the number says that it is not her."""
        async with build([waiting]) as house:
            await house.engine.start("waiting", document(), actor=OPERATOR)
            before = await rows_of(house)
            with pytest.raises(InvalidInput) as refused:
                await house.engine.start("waiting", document(hr_key="E-77124"), actor=OPERATOR)
            assert set(refused.value.fields) == {"person.email"}
            assert await rows_of(house) == before


class TestPeople:
    """A person is registered once, with a key, a manager, and nothing of them in clear."""

    async def test_a_person_is_registered_once_with_manager_and_key(self, build):
        """Known again by address in any case, or by employee number."""
        async with build([waiting]) as house, house.worker():
            first = await house.start("waiting", document())
            assert await house.rested(first) == "waiting"
            people = await house.database.fetch(
                "select p.ref, p.work_email, p.hr_key, m.work_email as boss, "
                "(select count(*) from newel.person_key k where k.person = p.ref) as keys "
                "from newel.person p left join newel.person m on m.ref = p.manager order by 2"
            )
            assert [tuple(row)[1:] for row in people] == [
                (JANE["email"], JANE["hr_key"], MARY["email"], 1),
                (MARY["email"], None, None, 1),
            ]
            ref = reference("per", people[0]["ref"])
            for same in ({"email": "JANE.Zyxwvuts@Example.com "}, {"ref": ref}, {"hr_key": None}):
                with pytest.raises(AlreadyStarted):
                    await house.engine.start("waiting", document(**same), actor=OPERATOR)
            assert await house.database.fetchval("select count(*) from newel.person") == 2

    async def test_an_address_is_one_persons_for_all_time(self, build):
        """Who has none yet is told by number; what they were ever called by is nobody else's."""
        async with build([waiting]) as house, house.worker():

            async def started(**person: object) -> None:
                made = await house.engine.start("waiting", document(**person), actor=OPERATOR)
                await house.engine.cancel(made.run, actor=OPERATOR, reason="again")
                house.poke()
                assert await house.ended(made.run) == "cancelled"

            async def addresses() -> dict[str, str | None]:
                rows = await house.database.fetch("select hr_key, work_email from newel.person")
                return {row["hr_key"]: row["work_email"] for row in rows if row["hr_key"]}

            await started(email="")
            assert await addresses() == {JANE["hr_key"]: None}
            await started()
            married = "jane.o'married@example.com"
            await started(email=married)
            await started()  # an old form: nothing new is said by it
            assert await addresses() == {JANE["hr_key"]: married}
            for email in (JANE["email"], married.upper()):
                with pytest.raises(InvalidInput) as refused:
                    await started(name="Jane 🌻", email=email, hr_key="E-77124")
                assert set(refused.value.fields) == {"person.email"}
            await started(email="", hr_key="E-77124")
            assert await addresses() == {JANE["hr_key"]: married, "E-77124": None}

    async def test_a_changed_manager_is_followed(self, build):
        """The next start says who the manager is now."""
        async with build([waiting]) as house, house.worker():
            first = await house.start("waiting", document())
            await house.engine.cancel(first, actor=OPERATOR, reason="again")
            house.poke()
            assert await house.ended(first) == "cancelled"
            boss = {"name": "New Boss", "email": "boss@example.com"}
            await house.start("waiting", document(manager=boss))
            found = await house.database.fetchval(
                "select m.work_email from newel.person p join newel.person m on m.ref = p.manager "
                "where p.work_email = $1",
                JANE["email"],
            )
            assert found == "boss@example.com"

    async def test_people_anywhere_in_an_input_get_their_reference(self, build):
        """Also in tuples; the body sees who they are."""
        seen: list[str] = []

        @process(owner="hr", subject=lambda hire: hire.person)
        async def looking(hire: Hire) -> None:
            seen.extend(each.ref for each in (hire.person, *hire.buddies))

        buddies = [{"name": "B1", "email": "b1@example.com"}, MARY]
        async with build([looking], reads=False) as house, house.worker():
            run = await house.start("looking", {**document(), "buddies": buddies})
            assert await house.ended(run) == "completed"
            refs = [
                await house.database.fetchval(
                    "select ref from newel.person where work_email = $1", email
                )
                for email in (JANE["email"], "b1@example.com", MARY["email"])
            ]
            assert [parse_reference(each)[1] for each in seen] == refs

    async def test_nothing_personal_stands_in_clear_outside_the_table_of_people(self, build):
        """Names, addresses, comments and reasons are in no other table, neither text nor base64."""

        class Google:
            name, credential, title, owner = "google", "google:1", "Google", "it"

            async def probe(self) -> None:
                """Answer."""

            @step(in_doubt="repeat", grants="{system}:account", raises=LookupError)
            async def create(self, person: Person) -> str:
                """Create an account, and say so with a name in it."""
                attempting = ATTEMPT.get()
                assert attempting is not None
                attempting.observed.effect = Effect(
                    changed=True, external_id="1009", account=person.email
                )
                return person.email

            @step(in_doubt="repeat", raises=LookupError)
            async def refuse(self, person: Person) -> None:
                raise LookupError(f"{person.name} is known already")

        google = Google()

        @process(owner="hr", subject=lambda hire: hire.person)
        async def onboarding(hire: Hire) -> str:
            decision = await approval("manager-confirms", by=manager_of(hire.person))
            assert decision.comment
            await google.create(hire.person)
            try:
                await google.refuse(hire.person)
            except LookupError as told:
                return str(told)
            return ""

        async with build([onboarding], systems=[google]) as house, house.worker():
            run = await house.start("onboarding", document())
            assert await house.rested(run) == "waiting"
            mary = await house.engine.actor(MARY["email"], via="api")
            comment = "Planted-Comment-4711"
            await house.engine.decide(
                await house.task(run), approved=True, actor=mary, comment=comment
            )
            house.poke()
            assert await house.ended(run) == "completed"
            planted = ["Zyxwvuts", "zyxwvuts", "Quantock", "quantock", "E-77123", comment]
            assert await leaks(house, planted) == []

    async def test_a_failure_with_a_name_in_it_stays_sealed(self, build):
        """What a system said about a person reaches no row in clear."""

        @step(in_doubt="repeat")
        async def refuse(person: Person) -> None:
            raise ValueError(f"{person.name} <{person.email}> cannot be created")

        @process(owner="hr", subject=lambda hire: hire.person)
        async def failing(hire: Hire) -> None:
            await refuse(hire.person)

        @process(owner="hr", subject=lambda hire: hire.person)
        async def broken(hire: Hire) -> None:
            raise KeyError(hire.person.name)

        async with build([failing, broken]) as house, house.worker():
            for name in ("failing", "broken"):
                run = await house.start(name, document())
                assert await house.rested(run) == "parked"
            assert await leaks(house, ["Zyxwvuts", "zyxwvuts", "Quantock"]) == []


async def leaks(house: House, planted: list[str]) -> list[str]:
    """Search every row of every table but `person` and `definition`, as text, hex and base64."""
    found: list[str] = []
    for table in await rows_of(house):
        if table in {"person", "definition"}:  # source code is no row about anybody
            continue
        rows = await house.database.fetch(f'select t::text as line from newel."{table}" t')
        for row in rows:
            line = row["line"]
            for text in planted:
                forms = (text, text.encode().hex(), base64.b64encode(text.encode()).decode()[:-4])
                if any(form in line for form in forms):
                    found.append(f"{table}: {text}")
    return found


class TestRegistration:
    """A type that cannot be kept shows before the first run, not on day three."""

    async def test_processes_with_such_types_are_refused_all_at_once(self, build):
        """Argument and result of every process: one error names them all, in order."""

        @process(subject=None, owner="it")
        async def taking(names: set[str]) -> None:
            del names

        @process(subject=None, owner="it")
        async def giving() -> object:
            return 1

        with pytest.raises(Refused) as refused:
            async with build([giving, taking]):
                pass
        assert [each.code for each in refused.value.findings] == ["F702", "F702"]
        assert ["names" in str(each) for each in refused.value.findings] == [True, False]


@process(owner="hr", subject=None)
async def about_much(title: str, often: int = 2, *, person: Person) -> str:
    """A run with several arguments, of which one has a default."""
    return title * often


async def test_a_request_starts_what_it_was_made_of(build):
    """With one argument or several, as the same document does; and once for its key."""
    mary = Person(name="Mary Quantock-Riseholme", email="mary.quantock@example.com")
    jane = Person(
        name="Jane Zyxwvuts-Doe",
        email="jane.zyxwvuts@example.com",
        hr_key="E-77123",
        manager=mary,
    )
    hire = Hire(person=jane, first_day=date(2026, 1, 5), buddies=(mary,))
    async with build([waiting, about_nobody, about_much]) as house, house.worker():
        start = house.engine.start
        first = await start(waiting.request(hire), actor=OPERATOR, idempotency_key="hr-1")
        given = {"person": JANE, "first_day": "2026-01-05", "buddies": [MARY]}
        with pytest.raises(AlreadyStarted) as there:
            await start("waiting", given, actor=OPERATOR)
        assert there.value.run == named(first.run)
        again = await start(waiting.request(hire), actor=OPERATOR, idempotency_key="hr-1")
        assert (again.run, again.is_new) == (first.run, False)
        for request, expected in [
            (about_nobody.request("it's ✓"), "it's ✓"),
            (about_much.request("x", person=mary), "xx"),
            (about_much.request("x", often=3, person=mary), "xxx"),
        ]:
            started = await start(request, actor=OPERATOR)
            house.poke()
            assert await house.ended(started.run) == "completed"
            assert await result(house, started.run) == expected
        other = process(name="unknown", owner="hr", subject=None)(about_nobody.function)
        with pytest.raises(NotFound):
            await start(other.request("x"), actor=OPERATOR)
