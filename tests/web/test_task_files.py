"""A file as evidence: attached on the task's page, sealed, shown with its digest, saved again."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from zoneinfo import ZoneInfo

import httpx2
import pytest

from newel.base.ids import reference
from newel.base.settings import Settings
from newel.domain.people import Person, manager_of
from newel.domain.values import MOST_BYTES
from newel.flow.forms import form
from newel.flow.process import process
from newel.store import files
from newel.web.app import create_app
from tests.browsing import at_home
from tests.engine.house import House, opened
from tests.engine.test_waits import JANE

SIGNED = b"<script>alert('signed by Jane Doe')</script>"


@process(owner="it")
async def signing(person: Person) -> str:
    """The manager shows the signed contract."""
    done = await form("show-contract", by=manager_of(person), evidence="file")
    return done.by


@pytest.fixture
async def house(database_url: str, tmp_path) -> AsyncIterator[House]:
    """Give a house with one process that asks for a file, and a worker."""
    made = await opened(database_url, tmp_path / "kek", [signing])
    async with made.worker():
        yield made
    await made.database.close()


@pytest.fixture
async def client(house) -> AsyncIterator[httpx2.AsyncClient]:
    """Give a browser on this machine."""
    app = create_app(house.engine, settings=Settings(company_name="Acme"), zone=ZoneInfo("UTC"))
    async with at_home(app, is_browser=True) as made:
        yield made


async def test_a_file_is_attached_sealed_shown_and_saved(house, client):
    """It lies encrypted; the leaf holds its digest; it comes back to be saved, never to be run."""
    run = await house.start("signing", JANE)
    await house.rested(run)
    task = await house.task(run)
    page = f"/tasks/{reference('tsk', task)}"
    shown = await client.get(page)
    assert 'enctype="multipart/form-data"' in shown.text
    said = {"actor": "mary@example.com", "note": ""}
    refused = await client.post(f"{page}/fill", data=said)
    assert refused.status_code == 422
    assert 'id="field-file-error"' in refused.text
    attached = {"file": ("C:\\papers\\Vertrag für Jane.html", SIGNED, "text/html")}
    answer = await client.post(f"{page}/fill", data=said, files=attached)
    assert answer.status_code == 303
    house.poke()
    assert await house.ended(run) == "completed"
    row = await house.database.fetchrow("select * from newel.task_file")
    assert b"Jane" not in row["content"] + row["name"]
    assert row["sha256"] == hashlib.sha256(SIGNED).hexdigest()
    decided = [leaf for leaf in await house.leaves(run) if leaf["type"] == "task.decided"]
    digest = hashlib.sha256(row["content"]).hexdigest()
    assert [leaf["data"]["evidence_digest"] for leaf in decided] == [digest]
    over = await client.get(page)
    assert row["sha256"] in over.text
    assert f'href="{page}/file"' in over.text
    for address in (f"{page}/file", f"/api/v1{page}/file"):
        saved = await client.get(address)
        assert saved.content == SIGNED
        assert saved.headers["content-type"] == "application/octet-stream"
        assert saved.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in saved.headers["content-security-policy"]
        assert saved.headers["cache-control"] == "no-store"
        assert saved.headers["content-disposition"] == (
            'attachment; filename="Vertrag_f_r_Jane.html"; '
            "filename*=UTF-8''Vertrag%20f%C3%BCr%20Jane.html"
        )
    async with house.database.transaction() as connection:
        await files.empty(connection, [run])
    assert "no longer kept" in (await client.get(page)).text
    assert (await client.get(f"{page}/file")).status_code == 404


async def test_a_file_has_a_size_and_is_taken_only_where_it_is_asked_for(house, client):
    """Over HTTP as a form with a file; ten megabytes at most, and never an empty one."""
    run = await house.start("signing", JANE)
    await house.rested(run)
    api = f"/api/v1/tasks/{reference('tsk', await house.task(run))}"
    said = {"actor": "mary@example.com"}
    for content in (b"", b"x" * (MOST_BYTES + 1)):
        answer = await client.post(f"{api}/fill", data=said, files={"file": ("f.bin", content)})
        assert answer.status_code == 422, answer.text[:200]
    most = {"file": ("f.bin", b"x" * MOST_BYTES)}
    answer = await client.post(f"{api}/fill", data=said, files=most)
    assert answer.json()["file"]["size"] == MOST_BYTES
    assert (
        await client.get("/api/v1/tasks/tsk_00000000000000000000000000/file")
    ).status_code == 404
    far = await client.post(f"{api}/decide", content=b" " * (2 * 1024 * 1024))
    assert far.status_code == 413
