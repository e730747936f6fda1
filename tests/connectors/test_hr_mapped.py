"""HR systems that a mapping describes: records, changes, messages, and what is hidden from us."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pytest

from newel import SecretRef
from newel.base.clock import FakeClock
from newel.base.errors import ContractDrift, Forbidden, Invalid, InvalidInput, StepError
from newel.connectors.hr_mapped import GENERIC, MappedHr
from tests.connectors.hr_desk import MAPPINGS, HrDesk

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


@pytest.fixture(params=sorted(MAPPINGS))
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> HrDesk:
    """Give an HR system of each dialect, with an employee."""
    monkeypatch.setenv("T_HR_TOKEN", "t0ken")
    desk = HrDesk(request.param, NOW)
    desk.enter(
        "7",
        given_name="Zoë 🎉",
        family_name="O'Neill",
        work_email="zoe@acme.example",
        title="Engineer",
        location="Berlin",
        manager="1",
        starts_on="2026-02-02",
    )
    return desk


def connector(desk: HrDesk, **more: Any) -> MappedHr:
    """The connector to such a system."""
    return MappedHr(
        name=desk.dialect,
        base_url="https://hr.example",
        token=SecretRef("env:T_HR_TOKEN"),
        mapping=MAPPINGS[desk.dialect],
        clock=FakeClock(desk.now),
        **{"transport": desk.transport(), **more},
    )


async def test_a_record_is_the_same_in_every_dialect(desk: HrDesk):
    """R33: three shapes of a record, one employee; who is not there is none."""
    hr = connector(desk)
    found = await hr.read_employee.plain("7")
    assert found is not None
    assert (found.id, found.number, found.given_name, found.family_name) == (
        "7", "7", "Zoë 🎉", "O'Neill",
    )  # fmt: skip
    assert (found.work_email, found.title, found.location, found.manager) == (
        "zoe@acme.example", "Engineer", "Berlin", "1",
    )  # fmt: skip
    assert (found.starts_on, found.ends_on, found.is_active) == (date(2026, 2, 2), None, True)
    assert await hr.read_employee.plain("8") is None


async def test_what_has_changed_is_found_once_with_an_overlap(desk: HrDesk):
    """Changes since a moment and five minutes before it; the same change has the same name."""
    hr = connector(desk)
    first = await hr.changed.plain(NOW - timedelta(hours=1))
    again = await hr.changed.plain(NOW + timedelta(minutes=4))
    assert [hint.employee for hint in first.hints] == ["7"]
    assert first.hints == again.hints
    assert first.until == NOW
    assert not (await hr.changed.plain(NOW + timedelta(minutes=6))).hints


async def test_pages_are_read_to_the_end(monkeypatch: pytest.MonkeyPatch):
    """Three hundred changes are two pages."""
    monkeypatch.setenv("T_HR_TOKEN", "t0ken")
    desk = HrDesk("personio", NOW)
    for number in range(300):
        desk.enter(str(number), given_name="A", family_name="B")
    found = await connector(desk).changed.plain(NOW)
    assert (len(found.hints), len(desk.asked)) == (300, 2)


async def test_a_message_names_whose_record_it_is_about(desk: HrDesk):
    """The message of each dialect; what names nobody is refused."""
    hr = connector(desk)
    assert [hint.employee for hint in hr.hints(desk.event("7"))] == ["7"]
    wrongs: tuple[Any, ...] = ({}, {"data": {}}, {"data": []}, "text", None)
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            hr.hints(wrong)


async def test_what_is_hidden_or_missing_is_named(desk: HrDesk):
    """A field that the credential may not see is no absent last day: it is named, as in a check."""
    theirs = MAPPINGS[desk.dialect].names["ends_on"]
    desk.hidden = theirs.partition(".")[0]
    with pytest.raises(Forbidden) as refused:
        await connector(desk).read_employee.plain("7")
    assert refused.value.missing == f"field:{theirs}"
    desk.hidden = ""
    desk.enter("7", family_name=None)
    with pytest.raises(Invalid) as incomplete:
        await connector(desk).read_employee.plain("7")
    assert "O'Neill" not in str(incomplete.value)
    desk.enter("7", family_name="O'Neill", starts_on="soon")
    with pytest.raises(ContractDrift):
        await connector(desk).read_employee.plain("7")


async def test_a_company_may_keep_a_field_elsewhere(desk: HrDesk):
    """Names of this company's own: in another place, or more of them."""
    place = MAPPINGS[desk.dialect].names["title"]
    hr = connector(desk, names={"cost_centre": place})
    found = await hr.read_employee.plain("7")
    assert found is not None
    assert found.more == {"cost_centre": "Engineer"}


@pytest.mark.parametrize(
    "answer",
    [
        {"employees": "none"},
        {"employees": [{"id": "7"}]},
        {"employees": [{"changed_at": "2026-01-05"}]},
        {},
        [],
    ],
)
async def test_a_listing_of_another_shape_is_drift(answer: Any, monkeypatch: pytest.MonkeyPatch):
    """A listing that tells less than it should is told as such, and nobody is left out silently."""
    monkeypatch.setenv("T_HR_TOKEN", "t0ken")
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answer))
    desk = HrDesk("generic", NOW)
    with pytest.raises(ContractDrift):
        await connector(desk, transport=transport).changed.plain(NOW)


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (401, False), (403, False)])
async def test_the_check_proves_the_credential(status, is_well, monkeypatch: pytest.MonkeyPatch):
    """A token that is accepted passes, one that is refused does not, and the probe says why."""
    monkeypatch.setenv("T_HR_TOKEN", "t0ken")
    told: dict[str, list[object]] = {"employees": []}
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, json=told))
    hr = connector(HrDesk("generic", NOW), transport=transport)
    assert (await hr.check()).ok is is_well
    if not is_well:
        with pytest.raises(StepError):
            await hr.probe()
    assert GENERIC.listing == "/employees"
