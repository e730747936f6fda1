"""Time stamps: what comes back is believed only if it is over this head, and of whom we trust."""

from __future__ import annotations

import pytest

from newel.base.errors import InvalidInput, StoreError
from newel.engine.anchors import anchor_of
from newel.engine.copies import Head
from newel.engine.fetching import Fetched, fetched
from newel.engine.key_holder import KeyHolder
from newel.engine.sequencer import Sequencer
from newel.store.database import Database
from tests.engine.sealing import append
from tests.engine.stamping import authority, openssl


def head(note):
    """A head to be stamped."""
    return Head(log_epoch=1, size=1, note=note, opened=lambda: pytest.fail("not needed"))


async def test_a_stamp_is_a_receipt_that_public_tools_accept(database, database_url, tmp_path):
    """Fetched with what it is over, `openssl ts -verify` says yes; over another text, no."""
    opened = await Database.open(database_url)
    try:
        async with authority(tmp_path) as url:
            anchors = [anchor_of(f"rfc3161:{url}/ root=root.pem", tmp_path)]
            sequencer = Sequencer(opened, KeyHolder(tmp_path / "log", anchors=anchors))
            await append(database, "log", many=3)
            await sequencer.seal()
            assert await sequencer.anchoring.anchor() == 1
        assert await fetched(opened, anchors, tmp_path / "home") == Fetched(0, 1)
        assert await fetched(opened, anchors, tmp_path / "home") == Fetched(0, 0)
    finally:
        await opened.close()
    (stamp,) = (tmp_path / "home").glob("stamp.1.3.*.tsr")
    note = tmp_path / "home" / "checkpoint.1.3"
    judge = ("ts", "-verify", "-CAfile", tmp_path / "root.pem", "-in", stamp, "-data")
    assert b"OK" in await openssl(*judge, note)
    note.write_bytes(note.read_bytes() + b" ")
    with pytest.raises(AssertionError, match="message imprint mismatch"):
        await openssl(*judge, note)


async def test_a_stamp_that_is_not_over_this_head_is_refused(tmp_path):
    """An earlier one again, none at all, no service, another's root: each is a miss."""
    async with authority(tmp_path) as url:

        def place(path, root="root.pem"):
            return anchor_of(f"rfc3161:{url}/{path} root={root}", tmp_path)

        assert await place("").keep(head(b"one"))
        for note in (b"one", b"two"):  # of "one" it has another nonce
            with pytest.raises(StoreError, match="not to be believed"):
                await place("other").keep(head(note))
        with pytest.raises(StoreError, match="not to be believed"):
            await place("noise").keep(head(b"one"))
        with pytest.raises(StoreError, match="404"):
            await place("gone").keep(head(b"one"))
        (tmp_path / "else").mkdir()
        async with authority(tmp_path / "else"):
            with pytest.raises(StoreError, match="not to be believed"):
                await place("", "else/root.pem").keep(head(b"one"))
    with pytest.raises(StoreError, match="does not answer"):
        await place("").keep(head(b"one"))


def test_a_stamp_without_a_root_is_refused(tmp_path):
    """Whom to believe has to be said: a receipt that nobody can judge is none."""
    with pytest.raises(InvalidInput, match="root has to be said"):
        anchor_of("rfc3161:https://tsa.example/", tmp_path)
