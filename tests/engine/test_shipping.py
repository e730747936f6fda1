"""A file of log lines is filled from the log: in its order, once, whatever was cut off."""

from __future__ import annotations

import json

import pytest

from newel.base.errors import LogInconsistent
from newel.engine.key_holder import KeyHolder
from newel.engine.reconciling import reconciled
from newel.engine.sequencer import Sequencer
from newel.engine.shipping import shipped
from newel.engine.told import service
from newel.store.export import snapshot
from tests.engine.test_event_export import LEO, sealed

__all__ = ["sealed"]

HERE = service("newel", "here")


async def test_a_file_goes_on_where_it_ends(sealed, tmp_path):
    """Killed in mid-line or called again, each line is there once; reconciling misses none."""
    path = tmp_path / "lines.jsonl"
    many = await shipped(sealed.database, path, HERE)
    whole = path.read_bytes()
    places = [json.loads(line)["audit"]["leaf_index"] for line in whole.splitlines()]
    assert (places, path.stat().st_mode & 0o777) == (list(range(many)), 0o600)
    assert LEO["name"] not in whole.decode()
    assert await shipped(sealed.database, path, HERE) == 0
    ends = [n for n, byte in enumerate(whole) if byte == ord("\n")]
    for cut in (0, 1, ends[0], ends[0] + 1, ends[3] + 7, len(whole) - 1):
        path.write_bytes(whole[:cut])
        await shipped(sealed.database, path, HERE)
        assert path.read_bytes() == whole, cut
    async with sealed.worker():
        await sealed.rested(await sealed.start("employment", LEO))
    assert await shipped(sealed.database, path, HERE) == 0  # nothing of it is sealed yet
    await Sequencer(sealed.database, KeyHolder(tmp_path / "log")).seal()
    assert await shipped(sealed.database, path, HERE) > 0
    assert path.read_bytes().startswith(whole)
    async with snapshot(sealed.database) as seen:
        told = await reconciled(seen.connection, path.read_bytes().splitlines())
    assert (told.code, told.lines) == (0, told.events)


async def test_a_file_of_another_log_is_left_as_it_is(sealed, tmp_path):
    """A last line that the log has not, or that is none, is refused; nothing is appended."""
    path = tmp_path / "lines.jsonl"
    await shipped(sealed.database, path, HERE)
    *_, last = path.read_text("utf-8").splitlines()
    audit = json.loads(last)["audit"]
    for strange in (
        last.replace(audit["leaf_hash"], "ab" * 32) + "\n",
        last.replace(f'"leaf_index":{audit["leaf_index"]}', '"leaf_index":99999') + "\n",
        '{"event": "no event"}\n',
        "no line 🦊",
        "x" * 70_000,
        f"{last}\nsomebody's notes",
        f"no line\n{last[:40]}",
    ):
        path.write_text(strange, "utf-8")
        with pytest.raises(LogInconsistent):
            await shipped(sealed.database, path, HERE)
        assert path.read_text("utf-8") == strange
