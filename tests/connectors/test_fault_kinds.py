"""What stands in a vendor's place: a web page, a redirection, a closed route, a wrong clock.

Every connector with accounts meets each of them while it reads and while it changes something;
what it makes of them decides whether the engine repeats, looks, or asks a person.
Source: connectors document, §5, §21.3.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    NoCapacity,
    OutcomeUnknown,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.github import GitHub
from newel.connectors.github_app import GitHubApp
from newel.connectors.google import Google
from newel.simulators.faults import ClockSkew, Gone, HtmlPage, Licences, Redirect
from newel.simulators.github import GitHubSimulator
from newel.testing.transport import SimulatorTransport
from tests.connectors.cases import CASES, Case, connected, keep_secret
from tests.connectors.support import JANE, Time, attempt, raised

# By system: what a maintenance page with status 503 is while something is changed. Where the same
# request may be sent twice it is sent again; BambooHR says "too many requests" with a 503.
CLOSED: dict[str, type[StepError]] = {"github": Transient, "bamboohr": Throttled}


async def changed(connector: Any, case: Case, time: Time) -> None:
    """Do what makes something come to be."""
    name = case.ends[0]
    with attempt(time):
        await getattr(connector, name).called(JANE, *case.arguments.get(name, ()))


async def changing_operation(case: Case) -> str:
    """Name the request that makes something come to be, as a system without faults saw it."""
    time = Time()
    sim, connector = connected(case, time)
    await changed(connector, case, time)
    await connector.aclose()
    name: str = next(call.operation for call in sim.calls(mutating=True, committed=True))
    return name


@pytest.mark.parametrize("system", sorted(CASES))
@pytest.mark.parametrize(
    ("effect", "reading", "changing"),
    [
        (HtmlPage(200), Transient, OutcomeUnknown),
        (HtmlPage(503), Transient, OutcomeUnknown),
        (Redirect(), ContractDrift, ContractDrift),
        (Redirect(status=301), ContractDrift, ContractDrift),
        (Gone(), ContractDrift, ContractDrift),
    ],
    ids=["page", "page_503", "redirect", "moved", "gone"],
)
async def test_what_stands_in_the_vendors_place_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch,
    system: str,
    effect: Any,
    reading: type[StepError],
    changing: type[StepError],
) -> None:
    """A page is waited out or looked behind, what has moved or gone is drift; nothing happens."""
    case = CASES[system]
    keep_secret(monkeypatch, case)
    if effect == HtmlPage(503):
        changing = CLOSED.get(system, changing)
        reading = Throttled if system == "bamboohr" else reading
    operation = await changing_operation(case)
    time = Time()
    sim, connector = connected(case, time)
    await connector.check()
    sim.fail("*", effect)
    wrong = await raised(connector.find(case.asks_for), reading)
    assert type(wrong) is reading
    sim.heal()
    time.move(timedelta(minutes=1))  # what asked for fewer calls is asked again
    sim.fail(operation, effect)
    wrong = await raised(changed(connector, case, time), changing)
    assert (type(wrong), wrong.operation is not None) == (changing, True)
    assert sim.calls(operation, committed=True) == []
    sim.heal()
    time.move(timedelta(minutes=1))
    await changed(connector, case, time)
    assert len([c for c in sim.calls(operation, committed=True) if c.did == "created"]) == 1
    await connector.aclose()


@pytest.mark.parametrize(("seconds", "told"), [(-600, "+600 s"), (4000, "-4000 s")])
@pytest.mark.parametrize("system", ["google", "salesforce"])
async def test_a_clock_that_is_wrong_is_named_as_the_reason_for_a_refused_sign_in(
    monkeypatch: pytest.MonkeyPatch, system: str, seconds: int, told: str
) -> None:
    """A signed statement that is of another time is refused; the difference is said."""
    case = CASES[system]
    keep_secret(monkeypatch, case)
    sim, connector = connected(case, Time())
    sim.fail("*", ClockSkew(seconds))
    refused = await raised(connector.find(case.asks_for), AuthFailed)
    assert f"This machine's clock is {told} from theirs" in str(refused)
    sim.heal()
    assert await connector.find(case.asks_for) is None
    await connector.aclose()


async def test_an_app_of_a_machine_with_a_wrong_clock_is_refused(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    """GitHub takes no App's statement from its own future; the advice names the clock."""
    sim = GitHubSimulator(clock=time.world)
    monkeypatch.setenv("T_APP_KEY", sim.credentials()["GITHUB_APP_KEY"])
    app = GitHubApp(
        app_id=sim.credentials()["GITHUB_APP_ID"],
        installation=int(sim.credentials()["GITHUB_INSTALLATION"]),
        key=SecretRef("env:T_APP_KEY"),
    )
    github = GitHub(
        org="acme-example", app=app, transport=SimulatorTransport(sim), clock=time.clock
    )
    sim.fail("*", ClockSkew(-600))
    told = str(await raised(github.find("jane-doe"), AuthFailed))
    assert "key and clock. This machine's clock is +600 s from theirs." in told
    sim.heal()
    assert await github.find("jane-doe") is None


async def test_a_token_ends_by_the_vendors_clock(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    """A token that the vendor holds for expired is fetched anew, and nobody notices."""
    case = CASES["google"]
    keep_secret(monkeypatch, case)
    sim, google = connected(case, time)
    assert await google.find(JANE) is None
    time.move(timedelta(minutes=55))
    sim.fail("*", ClockSkew(310))
    assert await google.find(JANE) is None
    assert [call.status for call in sim.calls("directory.users.*")][-2:] == [401, 404]
    assert len(sim.calls("token")) == 2
    await google.aclose()


async def test_licences_run_out_apart_from_seats(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    """With no licence left an account can be made, and what is lacking is named by its kind."""
    case = CASES["google"]
    keep_secret(monkeypatch, case)
    sim, google = connected(case, time)
    sku = "1010020020"
    sim.fail("*", Licences(0))
    assert isinstance(google, Google)
    with attempt(time):
        await google.ensure_account.called(JANE)
    with attempt(time):
        full = await raised(google.assign_licence.called(JANE, sku), NoCapacity)
    assert full.what == f"licences {sku} of Google"
    sim.heal()
    sim.fail("*", Licences(1))
    with attempt(time):
        await google.assign_licence.called(JANE, sku)
    assert sim.licences_of(JANE.email) == ["1010020020"]
    await google.aclose()


async def test_a_licence_of_salesforce_is_a_persons_seat(
    monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    """Without a licence nobody can be made there, and the free ones are counted."""
    case = CASES["salesforce"]
    keep_secret(monkeypatch, case)
    sim, salesforce = connected(case, time)
    sim.fail("*", Licences(0))
    await raised(changed(salesforce, case, time), NoCapacity)
    left = {room.what: room.left for room in await salesforce.capacity()}
    assert left["Salesforce licences"] == 0
    await salesforce.aclose()
