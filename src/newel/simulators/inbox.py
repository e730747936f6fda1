"""An inbox: it takes what newel tells others of its events, verifies it and keeps each once.

Messages are signed by the Standard Webhooks specification, with a shared secret (`whsec_…`, HMAC of
SHA-256) or a pair of keys (`whpk_…`, Ed25519); what is signed is `id.timestamp.body`, and a
message that is five minutes old or early is refused. One that comes again is counted, and kept as
it was. Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .clock import stamp
from .core import Simulator
from .faults import Throttle
from .system import Panel, action
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

PATH = "/in"
NEEDS = ("deliver",)
TOLERANCE_S = 300
SHARED, PUBLIC = "whsec_", "whpk_"
REFUSALS = {
    "400": "The message is not as the standard wants it.",
    "401": "No signature holds.",
    "403": "This sender may not deliver here.",
    "410": "Nobody reads here any more.",
    "429": "Too many messages.",
}


class InboxSimulator(Simulator):
    """One address of a system outside that wants to be told."""

    system = "inbox"
    title = "Inbox"

    def populate(self) -> None:
        """Make the secret that the sender has to sign with."""
        seeded = hashlib.sha256(f"newel simulators/{self.seed}/inbox/first".encode()).digest()
        self.grant("newel", SHARED + b64encode(seeded).decode(), NEEDS)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give the address to tell, and the secret."""
        return {
            "INBOX_URL": f"{address or 'https://inbox.acme.example'}{PATH}",
            "INBOX_SECRET": next(iter(self.store.rows("credentials"))),
        }

    # How it refuses ----------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find the secret by which one of the signatures holds, for a message of this moment."""
        identity = asked.headers.get("webhook-id", "")
        moment = asked.headers.get("webhook-timestamp", "")
        if not (identity and moment.isdecimal() and moment.isascii()):
            raise Refused(self.error("400", asked=asked))
        if abs(self.now().timestamp() - int(moment)) > TOLERANCE_S:
            raise Refused(_said(401, "The message is too old, or comes from the future."))
        signed = f"{identity}.{moment}.".encode() + asked.body
        given = asked.headers.get("webhook-signature", "").split()
        for secret in self.store.rows("credentials"):
            credential = self.known_credential(secret)
            if credential is not None and any(_holds(secret, signed, each) for each in given):
                return credential
        raise Refused(self.error("401", asked=asked))

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse a sender who may not deliver."""
        del route, missing
        return self.error("403", asked=asked)

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Refuse what is no JSON object."""
        del asked
        return _said(400, f"The body cannot be read: {reason}.")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give a refusal with its sentence; the standard leaves the body to the receiver."""
        del asked
        if not code.isdecimal():
            return _said(400, code)
        return _said(int(code), REFUSALS.get(code, "Not now."))

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 429, with the wait where one is given."""
        answer, wait = self.error("429", asked=asked), effect.retry_after
        return answer if wait is None else answer.with_headers({"Retry-After": str(wait)})

    # What it takes -----------------------------------------------------------------------------

    @route("POST", PATH, operation="deliver", needs=NEEDS)
    def deliver(self, asked: Asked) -> Answer:
        """Keep a message; one that is there already is counted."""
        message = asked.json()
        identity = asked.headers["webhook-id"]
        asked.concerns(f"message/{identity}", marker=identity)
        known = self.store.find("messages", identity)
        row = {
            "id": identity,
            "type": str(message.get("type") or ""),
            "message": message,
            "received_at": stamp(self.clock.now()),
            **(known or {}),
            "deliveries": (known["deliveries"] if known else 0) + 1,
        }
        self.store.put("messages", identity, row)
        return Answer(204)

    # What people see and do --------------------------------------------------------------------

    @action
    def trust(self, secret: str) -> None:
        """Take another secret or public key beside those that are trusted, while one is replaced.

        Raises ValueError for what is neither.
        """
        if _key(secret) is None:
            message = f"a secret begins with {SHARED}, a public key with {PUBLIC}; then base64"
            raise ValueError(message)
        self.grant("newel", secret, NEEDS)

    @action
    def distrust(self, secret: str) -> None:
        """Trust a secret or public key no more."""
        self.store.remove("credentials", secret)

    def messages(self) -> list[Document]:
        """List messages, the first first: id, type, message, received_at, deliveries."""
        return list(self.store.rows("messages").values())

    def accounts(self) -> list[Document]:
        """It holds no accounts."""
        return []

    def panels(self) -> list[Panel]:
        """Show what it was told, and how often."""
        return [
            Panel(
                title="Messages",
                columns=("Type", "What", "Key", "Deliveries", "When"),
                rows=[
                    (
                        each["type"],
                        ", ".join(_facts(each["message"])),
                        each["id"],
                        str(each["deliveries"]),
                        each["received_at"],
                    )
                    for each in reversed(self.messages())
                ],
            )
        ]


def _said(status: int, text: str) -> Answer:
    return Answer(status, {"error": text})


def _key(secret: str) -> bytes | None:
    """The bytes of a secret or public key; None for what is neither."""
    if not secret.startswith((SHARED, PUBLIC)):
        return None
    try:
        return b64decode(secret.partition("_")[2], validate=True) or None
    except binascii.Error:
        return None


def _holds(secret: str, signed: bytes, signature: str) -> bool:
    """Whether one signature of a header is by this secret: `v1` is shared, `v1a` has two keys."""
    version, _, text = signature.partition(",")
    key = _key(secret)
    try:
        given = b64decode(text, validate=True)
        if key is None or version != ("v1a" if secret.startswith(PUBLIC) else "v1"):
            return False
        if version == "v1":
            return hmac.compare_digest(hmac.digest(key, signed, "sha256"), given)
        Ed25519PublicKey.from_public_bytes(key).verify(given, signed)
    except (binascii.Error, InvalidSignature, ValueError):
        return False
    return True


def _facts(message: Document) -> Iterator[str]:
    """What a message is about and says, as the page shows it."""
    if message.get("subject"):
        yield str(message["subject"])
    data = message.get("data")
    if isinstance(data, dict):
        yield from (f"{name}: {value}" for name, value in data.items() if value is not None)
