"""Copies of checkpoints in a bucket that locks them: nobody deletes one before its time.

    s3:https://HOST/BUCKET/FOLDER region=eu-central-1 days=400 id=env:NAME secret=env:NAME

Any service that speaks S3 and can lock objects in compliance mode. The bucket has to be made with
object lock; the key needs to write, read and list, nothing else. Each checkpoint is one object.
What is there already is never written again, and what was written is read back: a service that
does not lock, or that holds another checkpoint under this name, is told as a miss.
Source: our own audit document §8.1; Amazon S3 API Reference (read November 2026).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from newel.base.clock import Clock, SystemClock
from newel.base.errors import InvalidInput, StoreError
from newel.base.secrets import SecretRef
from newel.connectors.addresses import is_loopback
from newel.engine.copies import RECEIPT_BYTES, Answer, Head, answered, described
from newel.engine.signature_v4 import Signer
from newel.engine.whole_files import write_once

__all__ = ["Bucket", "bucket_of"]

_OPTIONS: Final = {
    "region": "us-east-1",
    "days": "400",
    "id": "env:AWS_ACCESS_KEY_ID",
    "secret": "env:AWS_SECRET_ACCESS_KEY",
}
_PLACE: Final = re.compile(r"/[a-z0-9][a-z0-9.-]+(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_CODE: Final = re.compile(rb"<Code>(\w{1,64})</Code>")
_COPY: Final = re.compile(r"checkpoint\.\d+\.\d+")
_AT_ONCE: Final = 16
_LISTING_BYTES: Final = 4 * 1024 * 1024
_MODE: Final = "x-amz-object-lock-mode"
_UNTIL: Final = "x-amz-object-lock-retain-until-date"
_TAKEN: Final = frozenset({HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})


def bucket_of(text: str, clock: Clock | None = None) -> Bucket:
    """Read a bucket as the setting names it; raises InvalidInput."""
    url, said = described("s3", text, _OPTIONS)
    parts = urlsplit(url.rstrip("/"))
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise InvalidInput({"anchors": "s3: https is needed, but for this machine"})
    if not _PLACE.fullmatch(parts.path) or parts.query or "@" in parts.netloc:
        raise InvalidInput({"anchors": "s3: it has to be https://HOST/BUCKET/FOLDER"})
    if not said["days"].isdecimal() or not int(said["days"]):
        raise InvalidInput({"anchors": "s3: days is a whole number"})
    try:
        keys = SecretRef(said["id"]), SecretRef(said["secret"])
    except ValueError as why:
        raise InvalidInput({"anchors": f"s3: {why}"}) from None
    _, bucket, *folders = parts.path.split("/")
    return Bucket(
        server=f"{parts.scheme}://{parts.netloc}",
        bucket=bucket,
        folder="".join(f"{each}/" for each in folders),
        region=said["region"],
        lasts=timedelta(days=int(said["days"])),
        keys=keys,
        clock=clock or SystemClock(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A folder of a bucket; lasts: how long a copy is locked; keys: where id and secret lie."""

    server: str
    bucket: str
    folder: str
    region: str
    lasts: timedelta
    keys: tuple[SecretRef, SecretRef]
    clock: Clock

    @property
    def name(self) -> str:
        """Name it by its address."""
        return f"s3:{urlsplit(self.server).netloc}/{self.bucket}/{self.folder}".rstrip("/")

    async def keep(self, head: Head) -> bytes:
        """Keep a head; answers with its key, its version and how long it is locked."""
        until = self.clock.now() + self.lasts
        sent = await self._asked("PUT", head.file, head.note, self._lock(head.note, until))
        if sent.status not in {HTTPStatus.OK, *_TAKEN}:
            raise _refused("keep", sent)
        kept = await self._asked("GET", head.file)
        if kept.status != HTTPStatus.OK:
            raise _refused("show", kept)
        if kept.body != head.note:
            raise StoreError(f"{head.file} is kept already, with another content.")
        if kept.headers.get(_MODE) != "COMPLIANCE":
            raise StoreError(f"{self.name} does not lock: its owner can delete what it keeps.")
        version, locked = kept.headers.get("x-amz-version-id", "?"), kept.headers.get(_UNTIL, "?")
        digest = hashlib.sha256(kept.body).hexdigest()
        return f"{self.folder}{head.file} {version} until {locked} sha256 {digest}".encode()

    async def fetch(self, folder: Path) -> int:
        """Write all copies that a folder has not, every version of each; answers with how many.

        Raises StoreError.
        """
        wanted: list[tuple[Path, str, str]] = []
        async for name, version in self._listed():
            file = folder / f"{name}.{quote(version, safe='')}"
            if not file.exists():
                wanted.append((file, name, version))
        for begin in range(0, len(wanted), _AT_ONCE):
            await asyncio.gather(*(self._fetched(*each) for each in wanted[begin:][:_AT_ONCE]))
        return len(wanted)

    async def _fetched(self, file: Path, name: str, version: str) -> None:
        found = await self._asked("GET", name, query=f"versionId={quote(version, safe='')}")
        if found.status != HTTPStatus.OK:
            raise _refused("show", found)
        await asyncio.to_thread(write_once, file, found.body)

    async def _listed(self) -> AsyncIterator[tuple[str, str]]:
        """Name every version of every copy: a deletion hides one, and does not remove it."""
        prefix = f"{self.folder}checkpoint."
        query = {"prefix": prefix, "versions": ""}
        while True:
            told = "&".join(f"{name}={quote(query[name], safe='')}" for name in sorted(query))
            answer = await self._asked("GET", "", query=told, at_most=_LISTING_BYTES)
            if answer.status != HTTPStatus.OK:
                raise _refused("list", answer)
            try:
                page = ET.fromstring(answer.body)  # noqa: S314 - expat bounds what entities become
            except ET.ParseError as fault:
                raise StoreError("The bucket does not list copies: it answers no XML.") from fault
            for each in page.iterfind("{*}Version"):
                name = each.findtext("{*}Key", "").removeprefix(self.folder)
                if _COPY.fullmatch(name):
                    yield name, each.findtext("{*}VersionId", "")
            if page.findtext("{*}IsTruncated") != "true":
                return
            query["key-marker"] = page.findtext("{*}NextKeyMarker", "")
            query["version-id-marker"] = page.findtext("{*}NextVersionIdMarker", "")

    def _lock(self, note: bytes, until: datetime) -> dict[str, str]:
        digest = hashlib.sha256(note).digest()
        return {
            "Content-Type": "text/plain; charset=utf-8",
            "If-None-Match": "*",
            "x-amz-sdk-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(digest).decode(),
            _MODE: "COMPLIANCE",
            _UNTIL: until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    async def _asked(
        self,
        method: str,
        name: str,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        query: str = "",
        at_most: int = RECEIPT_BYTES,
    ) -> Answer:
        path = f"{self.bucket}/{self.folder}{name}" if name else self.bucket
        url = f"{self.server}/{path}?{query}" if query else f"{self.server}/{path}"
        # A key may be read by a command.
        identity, secret = [await asyncio.to_thread(each.resolve) for each in self.keys]
        signer = Signer(identity.reveal(), secret, self.region)
        sent = signer.signed(method, url, body, headers, self.clock.now())
        return await answered(method, url, body, headers=sent, at_most=at_most)


def _refused(verb: str, answer: Answer) -> StoreError:
    """Say what the service said, by its code: its text may quote anything."""
    code = _CODE.search(answer.body)
    said = f" ({code[1].decode()})" if code else ""
    return StoreError(f"The bucket does not {verb} copies: it answers {answer.status}{said}.")
