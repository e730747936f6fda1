"""Time stamps over checkpoints: somebody else's signature that this head was there at this moment.

    rfc3161:https://tsa.example/ root=ca.pem

What goes out is a digest. What comes back is the receipt, as a whole, so that public tools can
judge it; it is believed only if it leads to a certificate of the file `root`, which the operator
got from whoever runs the service. It needs the extra `newel[tsa]`.
Source: our own audit document §8.1; RFC 3161 §2.4.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography import x509

from newel.base.errors import InvalidInput, StoreError
from newel.engine.copies import Head, answered, described, shown

__all__ = ["Authority", "authority_of"]

_OPTIONS: Final = {"root": ""}
_ASKS: Final = {"Content-Type": "application/timestamp-query"}


def authority_of(text: str, base: Path) -> Authority:
    """Read an authority as the setting names it; base: what a relative path begins at.

    Raises InvalidInput, also where the extra is not installed.
    """
    url, said = described("rfc3161", text, _OPTIONS)
    try:
        import rfc3161_client  # noqa: F401, PLC0415 - an extra: told now, not when it is needed
    except ImportError:
        why = "rfc3161: it needs more packages: pip install 'newel[tsa]'"
        raise InvalidInput({"anchors": why}) from None
    return Authority(url, base / said["root"])


@dataclass(frozen=True, slots=True)
class Authority:
    """A service that stamps; root: the file with the certificates it must lead to."""

    url: str
    root: Path

    @property
    def name(self) -> str:
        """Name it by its address."""
        return f"rfc3161:{shown(self.url)}"

    async def keep(self, head: Head) -> bytes:
        """Have a head stamped; answers with the whole response, in DER."""
        # An extra: whoever uses no such service need not have it.
        from rfc3161_client import (  # noqa: PLC0415 - as above
            HashAlgorithm,
            TimestampRequestBuilder,
            VerificationError,
            VerifierBuilder,
            decode_timestamp_response,
        )

        asked = TimestampRequestBuilder(head.note, HashAlgorithm.SHA256).build()
        told = await answered("POST", self.url, asked.as_bytes(), headers=_ASKS)
        if told.status != HTTPStatus.OK:
            raise StoreError(f"The time stamping service answers {told.status}.")
        builder = VerifierBuilder.from_request(asked)
        for each in await asyncio.to_thread(self._roots):
            builder = builder.add_root_certificate(each)
        try:
            response = decode_timestamp_response(told.body)
            builder.build().verify_message(response, head.note)
        except (ValueError, VerificationError) as fault:
            raise StoreError(f"The time stamp is not to be believed: {fault}.") from fault
        return told.body

    def _roots(self) -> list[x509.Certificate]:
        try:
            return x509.load_pem_x509_certificates(self.root.read_bytes())
        except ValueError as fault:
            raise StoreError(f"{self.root.name} holds no certificates.") from fault
