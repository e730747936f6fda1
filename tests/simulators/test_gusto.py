"""Gusto: employees without uniqueness, versions, jobs and pay, onboarding moves."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from newel.simulators import Lag, LoseResponse, RemoveScope
from tests.simulators.support import plain

JANE = {
    "first_name": "Jane",
    "last_name": "Doe",
    "email": "jane@home.example",
    "work_email": "jane.doe@acme.example",
    "self_onboarding": True,
}


def employees(world: Any) -> str:
    """Give the path of the company's employees."""
    return f"/v1/companies/{world.gusto.company}/employees"


async def hired(world: Any, gusto: Any, **changes: Any) -> dict[str, Any]:
    """Add Jane and give what was answered."""
    answer = await gusto.post(employees(world), json={**JANE, **changes})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_token_says_what_it_may(world, gusto):
    """The token's information names scopes and company."""
    body = (await gusto.get("/v1/token_info")).json()
    assert "employees:manage" in body["scope"].split()
    assert body["resource"] == {"type": "Company", "uuid": world.gusto.company}


async def test_the_version_of_the_api_must_be_sent(world):
    """Without the pinned version no request is answered."""
    token = world.gusto.credentials()["GUSTO_TOKEN"]
    for version in ({}, {"X-Gusto-API-Version": "2020-01-01"}):
        async with plain(world.gusto, headers={"Authorization": f"Bearer {token}", **version}) as c:
            assert (await c.get("/v1/token_info")).status_code == 406


async def test_nothing_about_an_employee_is_unique(world, gusto):
    """A lost answer repeated makes a second employee: the book shows the double."""
    world.gusto.fail("post-v1-employees", LoseResponse(), times=1)
    with pytest.raises(Exception, match="disconnected"):
        await gusto.post(employees(world), json=JANE)
    await hired(world, gusto)
    assert len(world.gusto.accounts()) == 2
    assert world.gusto.book.doubled() == {"account/jane.doe@acme.example": 1}


async def test_an_employee_is_found_by_name_in_pages(world, gusto):
    """The search looks at names only; the pages are counted in headers."""
    for number in range(4):
        await hired(world, gusto, last_name=f"Doe{number}")
    await hired(world, gusto, first_name="Joe")
    first = await gusto.get(f"{employees(world)}?search_term=jane&per=100")
    second = await gusto.get(f"{employees(world)}?search_term=jane&per=100&page=2")
    assert [len(page.json()) for page in (first, second)] == [3, 1]
    headers = {n: first.headers[n] for n in ("x-page", "x-total-pages", "x-total-count")}
    assert headers == {"x-page": "1", "x-total-pages": "2", "x-total-count": "4"}
    assert (await gusto.get(f"{employees(world)}?search_term=acme.example")).json() == []
    assert (await gusto.get(f"{employees(world)}?terminated=true")).json() == []


async def test_a_lagging_list_misses_the_newest(world, gusto):
    """A listing trails behind while the employee is seen by id."""
    world.gusto.fail("*", Lag("gusto.employees", 30))
    made = await hired(world, gusto)
    assert (await gusto.get(employees(world))).json() == []
    assert (await gusto.get(f"/v1/employees/{made['uuid']}")).status_code == 200
    world.clock.advance(timedelta(seconds=30))
    assert len((await gusto.get(employees(world))).json()) == 1


async def test_a_stale_version_is_refused(world, gusto):
    """A change needs the present version, and makes a new one."""
    made = await hired(world, gusto)
    path = f"/v1/employees/{made['uuid']}"
    change = {"version": made["version"], "last_name": "Smith"}
    changed = await gusto.put(path, json=change)
    assert (changed.status_code, changed.json()["last_name"]) == (200, "Smith")
    assert changed.json()["version"] != made["version"]
    assert (await gusto.put(path, json=change)).status_code == 409
    assert (await gusto.put(path, json={"last_name": "Smith"})).status_code == 422


async def test_numbers_of_the_state_are_never_shown(world, gusto):
    """A social security number is taken and never given back."""
    made = await hired(world, gusto, ssn="123456789", date_of_birth="1990-02-28")
    assert (made["has_ssn"], made["ssn"]) == (True, "")


async def test_a_job_comes_with_pay_that_can_be_set(world, gusto):
    """A new job has one compensation; setting it needs its version."""
    made = await hired(world, gusto)
    path = f"/v1/employees/{made['uuid']}/jobs"
    body = {"title": "Engineer", "hire_date": "2026-02-02"}
    added = (await gusto.post(path, json=body)).json()
    assert (added["primary"], added["rate"]) == (True, "0.00")
    (pay,) = (await gusto.get(f"/v1/jobs/{added['uuid']}/compensations")).json()
    assert pay["uuid"] == added["current_compensation_uuid"]
    change = {
        "version": pay["version"],
        "rate": "84000",
        "payment_unit": "Year",
        "flsa_status": "Exempt",
    }
    target = f"/v1/compensations/{pay['uuid']}"
    assert (await gusto.put(target, json=change)).json()["rate"] == "84000.00"
    stale = await gusto.put(target, json=change)
    assert (stale.status_code, stale.json()["errors"][0]["category"]) == (
        422,
        "invalid_resource_version",
    )
    (shown,) = (await gusto.get(path)).json()
    assert (shown["rate"], shown["payment_unit"]) == ("84000.00", "Year")
    second = (await gusto.post(path, json={**body, "title": "Lead"})).json()
    assert second["primary"] is False


async def test_pay_is_hidden_without_its_scope(world, gusto):
    """Without compensations:read a job shows no pay, and the list of pay is refused."""
    made = await hired(world, gusto)
    path = f"/v1/employees/{made['uuid']}"
    added = (
        await gusto.post(f"{path}/jobs", json={"title": "Engineer", "hire_date": "2026-02-02"})
    ).json()
    world.gusto.fail("*", RemoveScope("compensations:read"))
    (shown,) = (await gusto.get(f"{path}/jobs")).json()
    assert {
        "rate",
        "payment_unit",
        "compensations",
        "current_compensation_uuid",
    } & shown.keys() == set()
    assert (await gusto.get(f"/v1/jobs/{added['uuid']}/compensations")).status_code == 403
    world.gusto.fail("*", RemoveScope("jobs:read"))
    assert "jobs" not in (await gusto.get(path)).json()


async def test_onboarding_moves_as_the_vendor_allows(world, gusto):
    """Only legal moves pass; an onboarded employee cannot be deleted any more."""
    made = await hired(world, gusto)
    assert made["onboarding_status"] == "self_onboarding_pending_invite"
    path = f"/v1/employees/{made['uuid']}"

    async def moved(state: str) -> int:
        answer = await gusto.put(f"{path}/onboarding_status", json={"onboarding_status": state})
        return int(answer.status_code)

    assert await moved("onboarding_completed") == 422
    assert await moved("self_onboarding_invited") == 200
    assert await moved("self_onboarding_invited") == 422
    world.gusto.complete_self_onboarding("jane.doe@acme.example")
    assert await moved("self_onboarding_awaiting_admin_review") == 200
    assert await moved("onboarding_completed") == 200
    status = (await gusto.get(f"{path}/onboarding_status")).json()
    assert status["onboarding_status"] == "onboarding_completed"
    assert (await gusto.delete(path)).status_code == 422


async def test_a_withdrawn_employee_is_gone(world, gusto):
    """An employee in onboarding is deleted once, then absent."""
    made = await hired(world, gusto)
    path = f"/v1/employees/{made['uuid']}"
    assert [(await gusto.delete(path)).status_code for _ in range(2)] == [204, 404]
    assert world.gusto.book.doubled() == {}


async def test_people_add_employees_by_hand(world):
    """An administrator adds an employee in the browser; nobody completes one there is not."""
    world.gusto.create_by_hand("Jane", "Doe")
    assert world.gusto.accounts()[0]["state"] == "admin_onboarding_incomplete"
    with pytest.raises(ValueError, match="there is no employee"):
        world.gusto.complete_self_onboarding("nobody@acme.example")


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"first_name": ""}, "first_name"),
        ({"last_name": None}, "last_name"),
        ({"email": "jane"}, "email"),
        ({"work_email": "jane@acme"}, "work_email"),
        ({"email": None}, "email"),
        ({"date_of_birth": "28.02.1990"}, "date_of_birth"),
        ({"shoe_size": 40}, "shoe_size"),
    ],
)
async def test_a_wrong_employee_is_refused(world, gusto, changes, key):
    """Missing, malformed and unknown values are refused with 422 at their key."""
    answer = await gusto.post(employees(world), json={**JANE, **changes})
    assert (answer.status_code, answer.json()["errors"][0]["error_key"]) == (422, key)
    assert world.gusto.accounts() == []


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("jobs", {"hire_date": "2026-02-02"}, "title"),
        ("jobs", {"title": "x"}, "hire_date"),
        ("jobs", {"title": "x", "hire_date": "soon"}, "hire_date"),
        ("jobs", {"title": "x", "hire_date": "2026-02-02", "salary": 1}, "salary"),
        ("pay", {"payment_unit": "Day"}, "payment_unit"),
        ("pay", {"flsa_status": "Free"}, "flsa_status"),
        ("pay", {"rate": "much"}, "rate"),
        ("pay", {"bonus": "1"}, "bonus"),
    ],
)
async def test_a_wrong_job_or_pay_is_refused(world, gusto, path, body, key):
    """Wrong values of jobs and pay are refused with 422 at their key."""
    made = await hired(world, gusto)
    jobs = f"/v1/employees/{made['uuid']}/jobs"
    added = (await gusto.post(jobs, json={"title": "Engineer", "hire_date": "2026-02-02"})).json()
    if path == "jobs":
        answer = await gusto.post(jobs, json=body)
    else:
        (pay,) = added["compensations"]
        url = f"/v1/compensations/{pay['uuid']}"
        answer = await gusto.put(url, json={"version": pay["version"], **body})
    assert (answer.status_code, answer.json()["errors"][0]["error_key"]) == (422, key)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/companies/other/employees"),
        ("GET", "/v1/employees/other"),
        ("GET", "/v1/jobs/other/compensations"),
        ("PUT", "/v1/compensations/other"),
    ],
)
async def test_unknown_things_are_absent(gusto, method, path):
    """An unknown id is 404 in the vendor's envelope."""
    answer = await gusto.request(method, path, json={})
    assert (answer.status_code, answer.json()["errors"][0]["category"]) == (404, "not_found")
