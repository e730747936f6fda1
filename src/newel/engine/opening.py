"""Opening what is sealed in rows that leave a deployment, as far as the keys still exist."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson

from newel.audit import personal
from newel.base.ids import parse_reference
from newel.engine.vault import Vault
from newel.store.export import Snapshot

__all__ = ["Opener"]

Json = dict[str, Any]  # Any: JSON


class Opener:
    """Opens what is sealed in rows; what was in them stays as it is, `opened` comes behind."""

    def __init__(self, vault: Vault, seen: Snapshot) -> None:
        """Take the keys; `unreadable` counts values whose key was destroyed."""
        self.unreadable = 0
        self._vault, self._seen = vault, seen

    async def line(self, table: str, line: bytes) -> bytes:
        """A row with what was sealed in it."""
        if table == "event":
            opened = await self._event(orjson.loads(line))
        elif table == "task_file":
            opened = await self._file(orjson.loads(line))
        else:
            return line
        return line[:-1] + b',"opened":' + orjson.dumps(opened) + b"}" if opened else line

    async def _event(self, row: Json) -> Json:
        opened: Json = {}
        if row["payload"] is not None:
            text = await self._payload(row["payload"], UUID(row["stream_id"]))
            if text is not None:
                opened["payload"] = _json_or_text(text)
        fields: Json = {}
        for pointer, sealed in _sealed_in(row["leaf"], ""):
            key = await self._key(sealed["kid"])
            if key is not None:
                event = row["leaf"]["id"]
                fields[pointer] = personal.open_field(key, sealed, event_id=event, pointer=pointer)
        return {**opened, "fields": fields} if fields else opened

    async def _file(self, row: Json) -> Json:
        run = UUID(row["run_id"])
        name, content = row["name"], row["content"]
        if name is None or (text := await self._payload(name, run)) is None:
            return {}
        whole = await self._payload(content, run)
        assert whole is not None, "a file is sealed under one key with its name"
        return {"name": text.decode(), "content": base64.b64encode(whole).decode()}

    async def _payload(self, written: str, belongs_to: UUID) -> bytes | None:
        envelope = base64.b64decode(written)
        kid = personal.payload_kid(envelope)
        key = None if kid is None else await self._key(kid)
        if kid is not None and key is None:
            return None
        return personal.open_payload(envelope, key=key, aad=belongs_to.bytes)

    async def _key(self, kid: str) -> personal.PersonKey | None:
        """A person's key by its name; None, and counted, once it was destroyed."""
        person, _, n = kid.partition("/")
        wrapped = await self._seen.wrapped(parse_reference(person)[1], int(n))
        if wrapped is None:
            self.unreadable += 1
            return None
        return self._vault.key(kid, wrapped)


def _sealed_in(value: Any, pointer: str) -> Iterator[tuple[str, Json]]:  # Any: JSON
    """Every sealed field inside a leaf, with its place."""
    if isinstance(value, dict):
        if value.keys() == {"enc", "kid", "iv", "ct"}:
            yield pointer, value
            return
        for name, each in value.items():
            yield from _sealed_in(each, f"{pointer}/{name}")
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from _sealed_in(each, f"{pointer}/{place}")


def _json_or_text(text: bytes) -> Any:  # Any: JSON
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")
