"""A mail server: it takes mail over SMTP and keeps every message as a person would read it.

Who does not sign in is believed, as servers believe their own network; who signs in needs the
password. Codes and texts are those of RFC 5321 and RFC 3463. Each command is a call in the book
(`CONNECT`, `AUTH`, `MAIL`, `RCPT`, `DATA`), so a rule can strike any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from email import message_from_bytes, policy
from email.message import EmailMessage

from .clock import stamp
from .core import Spoken
from .exchange import Connection
from .faults import Throttle
from .smtp import SENDER, SIGNED_IN, TO, VERB, Conversation
from .system import Panel
from .wire import Answer, Asked, Credential, Document, Refused, Route, route

HOST = "mail.acme.example"
USER = "newel@acme.example"
NEEDS = ("send",)
TEXTS = {
    "421": "4.3.2 Service not available",
    "450": "4.2.1 Mailbox busy",
    "451": "4.3.0 Local error in processing",
    "452": "4.2.2 Mailbox full",
    "501": "5.5.4 Syntax error in parameters",
    "530": "5.7.0 Authentication required",
    "535": "5.7.8 Authentication credentials invalid",
    "550": "5.1.1 No such user here",
    "552": "5.3.4 Message too big",
    "554": "5.7.1 Rejected as spam",
}


class MailSimulator(Spoken):
    """One mail server of a company, with the mailboxes of everybody it is written to."""

    system = "mail"
    title = "Mail"

    def populate(self) -> None:
        """Make the account that newel may send by, and let those in who have none."""
        self.grant("newel", f"{USER}:{self.store.opaque('password', 24)}", NEEDS, subject=USER)
        self.grant("not signed in", "", NEEDS)

    def credentials(self, address: str | None = None) -> dict[str, str]:
        """Give host, port, user and password."""
        del address  # of the page
        host, port = self.door or (HOST, 587)
        secret = next(iter(self.store.rows("credentials")))
        return {
            "MAIL_HOST": host,
            "MAIL_PORT": str(port),
            "MAIL_USER": USER,
            "MAIL_PASSWORD": secret.removeprefix(f"{USER}:"),
        }

    async def talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection
    ) -> None:
        """Speak SMTP with one client until it leaves."""
        await Conversation(self, reader, writer, connection).run()

    # How it refuses ----------------------------------------------------------------------------

    def authenticated(self, asked: Asked) -> Credential:
        """Find who signed in, or the one who is believed without."""
        secret = asked.headers.get(SIGNED_IN, "")
        found = self.known_credential(secret)
        if found is None:
            raise Refused(self.error("535" if secret else "530", asked=asked))
        return found

    def scope_refusal(self, asked: Asked, route: Route, missing: Sequence[str]) -> Answer:
        """Refuse who may not send."""
        del asked, route, missing
        return _reply(550, "5.7.1 Sender not allowed")

    def expired(self, asked: Asked) -> Answer:
        """Say that the password is no more."""
        return self.error("535", asked=asked)

    def unreadable(self, asked: Asked, reason: str) -> Answer:
        """Say that a command cannot be read."""
        del asked
        return _reply(501, f"5.5.4 {reason}")

    def error(self, code: str, *, asked: Asked) -> Answer:
        """Give the reply of a code; a word is the text of a 550."""
        del asked
        if not code.isdigit():
            return _reply(550, f"5.0.0 {code}")
        return _reply(int(code), TEXTS.get(code, f"{code[0]}.0.0 Not now"))

    def throttled(self, effect: Throttle, *, asked: Asked) -> Answer:
        """Answer 450; SMTP has no word for how long to wait."""
        del effect, asked
        return _reply(450, "4.7.1 Too much mail, try again later")

    # What it takes -----------------------------------------------------------------------------

    @route(VERB, "/CONNECT", operation="CONNECT", mutating=False, open=True)
    def greet(self, asked: Asked) -> Answer:
        """Greet whoever comes."""
        del asked
        return _reply(220, f"{HOST} ESMTP")

    @route(VERB, "/AUTH", operation="AUTH", mutating=False)
    def sign_in(self, asked: Asked) -> Answer:
        """Say that the password is right; a wrong one has been refused before."""
        del asked
        return _reply(235, "2.7.0 Authentication successful")

    @route(VERB, "/MAIL", operation="MAIL", needs=NEEDS, mutating=False)
    def begin(self, asked: Asked) -> Answer:
        """Begin a message from an address."""
        del asked
        return _reply(250, "2.1.0 Sender ok")

    @route(VERB, "/RCPT", operation="RCPT", needs=NEEDS, mutating=False)
    def address(self, asked: Asked) -> Answer:
        """Take an address that the message goes to."""
        if b"@" not in asked.body:
            raise Refused(_reply(501, "5.1.3 Bad address"))
        return _reply(250, "2.1.5 Recipient ok")

    @route(VERB, "/DATA", operation="DATA", needs=NEEDS)
    def deliver(self, asked: Asked) -> Answer:
        """Keep the message; sent again it is there twice, as in any mailbox."""
        message = message_from_bytes(asked.body, policy=policy.default)
        name = self.store.opaque("mail", 16)
        key = str(message["Message-ID"] or "").strip()
        asked.concerns(f"mail/{key or name}", marker=key)
        row = {
            "message_id": key,
            "references": str(message["References"] or "").split(),
            "from": str(message["From"] or asked.headers[SENDER]),
            "to": asked.headers[TO].split(","),
            "subject": str(message["Subject"] or ""),
            "text": _text(message),
            "source": asked.body.decode(errors="replace"),
            "received_at": stamp(self.clock.now()),
        }
        self.store.put("mails", name, row)
        return _reply(250, f"2.0.0 Ok: queued as {name}")

    # What people see ---------------------------------------------------------------------------

    def mails(self) -> list[Document]:
        """List all mails, oldest first: message_id, references, from, to, subject, text, source."""
        return list(self.store.rows("mails").values())

    def accounts(self) -> list[Document]:
        """It holds mailboxes of everybody, and no accounts."""
        return []

    def panels(self) -> list[Panel]:
        """Show the mails as they are read: whom they are to, what they follow, what they say."""
        mails = self.mails()
        subjects = {each["message_id"]: each["subject"] for each in reversed(mails)}
        return [
            Panel(
                title="Mails",
                columns=("Subject", "To", "From", "Text", "Follows", "Key", "When"),
                rows=[
                    (
                        each["subject"],
                        ", ".join(each["to"]),
                        each["from"],
                        each["text"],
                        ", ".join(subjects.get(one, one) for one in each["references"][-1:]),
                        each["message_id"],
                        each["received_at"],
                    )
                    for each in reversed(mails)
                ],
            )
        ]


def _reply(code: int, text: str) -> Answer:
    return Answer(code, text, media_type="text/plain")


def _text(message: EmailMessage) -> str:
    """Give what a person reads of a message; what is in no known alphabet is shown as it came."""
    part = message.get_body(("plain", "html"))
    if part is None:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except LookupError:
        return str(part.get_payload())
