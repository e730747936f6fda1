"""Standard Webhooks: messages signed so that whoever gets them knows where they come from.

    webhook-id: msg_…   webhook-timestamp: 1614265330   webhook-signature: v1,<base64> v1,<base64>

Signed are id, time and the exact bytes of the body, with HMAC-SHA256 (`v1`, secrets `whsec_…`) or
Ed25519 (`v1a`, keys `whsk_…` and `whpk_…`). While a secret is being replaced a message carries a
signature by each, and any valid one suffices. Everything here is pure;
who keeps what has been received, and when something is sent again, is decided elsewhere.
Source: the Standard Webhooks specification 1.0.0; connectors document, §20.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from newel.base.errors import DefinitionError, RequestError
from newel.base.secrets import Secret

__all__ = [
    "LARGEST_BODY",
    "REMEMBERED_FOR",
    "TOLERANCE",
    "DeliveryChanged",
    "SignatureInvalid",
    "fresh_secret",
    "judged_delivery",
    "next_attempt",
    "signed",
    "verified",
]

LARGEST_BODY: Final = 256 * 1024
# A sender may try again for three days and a half; so long a message must be known again.
REMEMBERED_FOR: Final = timedelta(hours=80)
TOLERANCE: Final = timedelta(minutes=5)
_PREFIX: Final = "whsec_"
_PUBLIC: Final = "whpk_"
_PRIVATE: Final = "whsk_"
_ED25519: Final = 32
_MOST_SIGNATURES: Final = 20
_FEWEST_BYTES: Final = 24
_MOST_BYTES: Final = 64
_LONGEST_ID: Final = 256
_WAITS: Final = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)
_JITTER: Final = 0.1


class SignatureInvalid(RequestError):
    """A message from outside is not proven to come from whom it says it does.

    source: whose message it should be. why: what is wrong, without any of its content.
    """

    def __init__(self, *, source: str, why: str) -> None:
        self.source, self.why = source, why
        super().__init__(f"The message from {source} is not accepted: {why}.")


class DeliveryChanged(RequestError):
    """A delivery came again under its id, with another body. source: the name of its hook."""

    def __init__(self, *, source: str) -> None:
        self.source = source
        super().__init__(f"A delivery of {source} came again under its id, with another body.")


def fresh_secret(random_bytes: bytes) -> Secret:
    """Write random bytes as a secret; 24 to 64 of them."""
    if not _FEWEST_BYTES <= len(random_bytes) <= _MOST_BYTES:
        raise DefinitionError(
            f"A secret of {len(random_bytes)} bytes does not sign webhooks.",
            fix="24 to 64 random bytes.",
        )
    return Secret(_PREFIX + base64.b64encode(random_bytes).decode())


def signed(
    identity: str, body: bytes, secrets: Sequence[Secret], now: datetime
) -> Mapping[str, str]:
    """Give the headers of a message, with one signature by each secret.

    identity: of the message, the same in every attempt; holds no dot. now: of this attempt.
    """
    if not identity or "." in identity or not secrets:
        raise DefinitionError(
            "A message needs an identity without a dot, and a secret to sign it.",
            fix="an identity such as msg_2KWPBgLlAfxdpx2AI54pPJ85f4W.",
        )
    stamp = str(int(now.timestamp()))
    signing = _signing(identity, stamp, body)
    return {
        "webhook-id": identity,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(signing, each) for each in secrets),
    }


def verified(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[Secret],
    now: datetime,
    *,
    source: str = "a webhook",
) -> str:
    """Give the id of a message that is proven to be signed with one of the secrets.

    headers: names in lower case. body: the bytes as they came, not parsed before this.
    Raises SignatureInvalid.
    """
    identity = headers.get("webhook-id", "")
    if not 0 < len(identity) <= _LONGEST_ID or "." in identity:
        raise SignatureInvalid(source=source, why="it has no identity")
    stamp = headers.get("webhook-timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= len("9999999999")):
        raise SignatureInvalid(source=source, why="it has no time")
    if abs(now - datetime.fromtimestamp(int(stamp), UTC)) > TOLERANCE:
        raise SignatureInvalid(source=source, why="its time is more than five minutes away")
    listed = headers.get("webhook-signature", "").split(" ")[:_MOST_SIGNATURES]
    signing = _signing(identity, stamp, body)
    # Every pair is compared, in constant time: what differs does not show in how long it takes.
    if not sum(_holds(each, signing, secret) for each in listed for secret in secrets):
        raise SignatureInvalid(source=source, why="its signature is wrong")
    return identity


def _holds(given: str, signing: bytes, secret: Secret) -> bool:
    """Say whether one signature is by one secret, or by the private half of a public key."""
    version, _, text = given.partition(",")
    if not secret.reveal().startswith(_PUBLIC):
        return version == "v1" and hmac.compare_digest(
            text.encode(), _by_secret(signing, secret).encode()
        )
    if version != "v1a":
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(_key(secret, _PUBLIC, _ED25519, _ED25519))
        key.verify(base64.b64decode(text, validate=True), signing)
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def _signature(signing: bytes, secret: Secret) -> str:
    if not secret.reveal().startswith(_PRIVATE):
        return f"v1,{_by_secret(signing, secret)}"
    key = Ed25519PrivateKey.from_private_bytes(_key(secret, _PRIVATE, _ED25519, _MOST_BYTES)[:32])
    return f"v1a,{base64.b64encode(key.sign(signing)).decode()}"


def _by_secret(signing: bytes, secret: Secret) -> str:
    return base64.b64encode(hmac.new(_key(secret), signing, hashlib.sha256).digest()).decode()


def _signing(identity: str, stamp: str, body: bytes) -> bytes:
    return b".".join((identity.encode(), stamp.encode(), body))


def _key(
    secret: Secret, prefix: str = _PREFIX, fewest: int = _FEWEST_BYTES, most: int = _MOST_BYTES
) -> bytes:
    """Read a secret; raises DefinitionError, without its text, if it is none."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(prefix), validate=True)
    except binascii.Error:
        key = b""
    if not fewest <= len(key) <= most:
        raise DefinitionError(
            "The secret of a webhook cannot be used.",
            fix="`whsec_` and 24 to 64 random bytes in base64, or `whpk_` and a public key.",
        ) from None
    return key


def next_attempt(
    attempts: int, ended: datetime, *, retry_at: datetime | None = None, chance: float | None = None
) -> datetime | None:
    """Say when a message that was not accepted is sent again; None when it is given up.

    attempts: how many were made, the first at once. retry_at: what the receiver asked for; it is
    never brought forward by it. chance: 0 to 1, for the jitter of a tenth; drawn if not given.
    """
    if attempts > len(_WAITS):
        return None
    drawn = random.random() if chance is None else chance  # noqa: S311 - spreads load, no secret
    wait = _WAITS[attempts - 1] * (1 + _JITTER * drawn)
    due = ended + wait
    return due if retry_at is None else max(due, min(retry_at, ended + timedelta(hours=24)))


def judged_delivery(status: int) -> Literal["accepted", "failed", "gone"]:
    """Say what an answer to a message means: 2xx accepted, 410 never again, the rest failed.

    A redirection is not followed: it could lead to where nobody has agreed to send.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return "accepted"
    return "gone" if status == HTTPStatus.GONE else "failed"
