"""How deliveries are signed: by the standard, as Slack does, as BambooHR does, by an HMAC of the
body.

Each takes any number of secrets and accepts a signature by any of them, so that a secret is
replaced without a gap: add the new one here, then in the other system, then take the old one away.
Source: security document, §9; docs.slack.dev, "Verifying requests from Slack".
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

import orjson

from newel.base.errors import AuthFailed
from newel.base.secrets import Secret, SecretRef
from newel.connectors import bamboohr_contract, webhooks
from newel.connectors.webhooks import TOLERANCE, SignatureInvalid
from newel.flow.hooks import Arrived

__all__ = ["BambooHRSigned", "BodySigned", "SlackSigned", "StandardWebhooks"]

_LONGEST_ID: Final = 256


@dataclass(frozen=True, slots=True, init=False)
class _BySecrets:
    """Holds where the secrets lie."""

    secrets: tuple[SecretRef, ...]

    def __init__(self, *secrets: SecretRef) -> None:
        """Take the secrets that count at present; one, or two while one replaces the other."""
        object.__setattr__(self, "secrets", secrets)

    def _resolved(self) -> list[Secret]:
        """Read the secrets; one that is not there counts for nothing. Raises AuthFailed for all."""
        found: list[Secret] = []
        missing = AuthFailed("No secret is named.")
        for each in self.secrets:
            try:
                found.append(each.resolve())
            except AuthFailed as failed:
                missing = failed
        if not found:
            raise missing
        return found


class StandardWebhooks(_BySecrets):
    """Deliveries by the Standard Webhooks specification, in and out.

    Secrets are `whsec_…`; a pair of keys is `whsk_…` for who sends and `whpk_…` for who receives.
    """

    def signed(self, identity: str, body: bytes, now: datetime) -> Mapping[str, str]:
        """Give the headers of a message, with a signature by each secret.

        Raises AuthFailed if none can be read, DefinitionError for one that signs nothing.
        """
        return webhooks.signed(identity, body, self._resolved(), now)

    def verified(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, source: str
    ) -> Arrived:
        """Judge a delivery; raises SignatureInvalid, AuthFailed."""
        secrets = self._resolved()
        return Arrived(id=webhooks.verified(headers, body, secrets, now, source=source))


class SlackSigned(_BySecrets):
    """Events, commands and clicks of a Slack app; the secret is the app's signing secret."""

    def verified(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, source: str
    ) -> Arrived:
        """Judge a delivery; raises SignatureInvalid, AuthFailed.

        Slack asks once whether the address is ours: the answer is its own word.
        """
        stamp = _timely(headers.get("x-slack-request-timestamp", ""), now, source)
        wanted = [
            "v0=" + _hmac(secret, b"v0:" + stamp.encode() + b":" + body)
            for secret in self._resolved()
        ]
        _one_holds(headers.get("x-slack-signature", ""), wanted, source)
        told = _told(body)
        if told.get("type") == "url_verification":
            return Arrived(id=None, reply=str(told.get("challenge", "")).encode())
        return Arrived(id=_id(told.get("event_id")))


class BambooHRSigned(_BySecrets):
    """Deliveries of BambooHR; the secret is the key that it showed when you subscribed."""

    def verified(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, source: str
    ) -> Arrived:
        """Judge a delivery; raises SignatureInvalid, AuthFailed."""
        refused: SignatureInvalid | None = None
        for secret in self._resolved():
            try:
                bamboohr_contract.verified(headers, body, secret, now)
            except SignatureInvalid as invalid:
                refused = SignatureInvalid(source=source, why=invalid.why)
            else:
                return Arrived(id=_id(_told(body).get("id")))
        assert refused is not None, "without a secret nothing is resolved"
        raise refused


class BodySigned(_BySecrets):
    """Deliveries with an HMAC-SHA256 of the body in a header, as Frappe and many others sign.

    Nothing says when it was signed: an old one that is sent again is told by its content, and only
    for as long as deliveries are kept. For hints and what may come twice.
    """

    header: str

    def __init__(self, *secrets: SecretRef, header: str) -> None:
        """Take the secrets, and the header's name; the signature is in base64 or hexadecimal."""
        super().__init__(*secrets)
        object.__setattr__(self, "header", header.lower())

    def verified(
        self, headers: Mapping[str, str], body: bytes, now: datetime, *, source: str
    ) -> Arrived:
        """Judge a delivery; raises SignatureInvalid, AuthFailed."""
        del now
        digests = [
            hmac.new(secret.reveal().encode(), body, hashlib.sha256).digest()
            for secret in self._resolved()
        ]
        wanted = [text for each in digests for text in (each.hex(), b64encode(each).decode())]
        _one_holds(headers.get(self.header, "").removeprefix("sha256="), wanted, source)
        return Arrived(id=None)


def _timely(stamp: str, now: datetime, source: str) -> str:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= len("9999999999")):
        raise SignatureInvalid(source=source, why="it has no time")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise SignatureInvalid(source=source, why="its time is more than five minutes away")
    return stamp


def _hmac(secret: Secret, signing: bytes) -> str:
    return hmac.new(secret.reveal().encode(), signing, hashlib.sha256).hexdigest()


def _one_holds(given: str, wanted: Sequence[str], source: str) -> None:
    # All are compared: which one it is does not show in how long it takes.
    if not sum(hmac.compare_digest(given.encode(), each.encode()) for each in wanted):
        raise SignatureInvalid(source=source, why="its signature is wrong")


def _told(body: bytes) -> Mapping[str, Any]:  # Any: JSON, of the sender's shape
    """Read the members of a body that is proven already; none of one that is no JSON object."""
    text: bytes | str = body
    if body.startswith(b"payload="):
        text = parse_qs(body.decode("utf-8", "replace")).get("payload", [""])[0]
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID else None
