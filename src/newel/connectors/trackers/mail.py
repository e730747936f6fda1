"""Telling people by mail: a channel for when the tracker itself is down.

A mail is no ticket: it cannot be searched for, so a lost answer may lead to a second one. Its
`Message-ID` is made from the incident, so that programs for reading mail show one, and what
follows stands in the same thread. SMTP comes from the standard library, in a thread.
Source: connectors document, §20.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from newel.base.clock import DEPLOYMENT
from newel.base.errors import AuthFailed, DefinitionError, Forbidden, Invalid, Transient
from newel.base.secrets import SecretRef
from newel.connectors.http import is_loopback
from newel.connectors.trackers.base import Ticket, TicketRef

__all__ = ["Mail", "mail"]

_TIMEOUT_S: Final = 15.0
_REFUSED_SENDER: Final = frozenset({530, 550, 551, 553, 554})
_PERMANENT: Final = 500
_MAILBOX_UNKNOWN: Final = 535


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    host: str
    port: int
    user: str | None
    password: SecretRef | None
    starttls: bool


class Mail:
    """One address that is written to."""

    is_tracker = False

    def __init__(self, *, to: str, sender: str, server: _Server) -> None:
        """Take the address; a made one comes from `mail(…)`."""
        self.channel = f"mail:{to.partition('@')[0]}"
        self._to = to
        self._sender = sender
        self._server = server
        name = f"{server.host}:{server.port}"
        self.credential = f"mail:{hashlib.sha256(name.encode()).hexdigest()[:12]}"

    def __repr__(self) -> str:
        return f"<Mail {self.channel}>"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The mail server, with its port."""
        return (f"{self._server.host}:{self._server.port}",)

    async def find(self, incident: str) -> TicketRef | None:
        """Nothing can be searched for in somebody's mailbox."""
        del incident
        return None

    async def ensure_ticket(self, ticket: Ticket) -> TicketRef:
        """Send the mail."""
        text = ticket.body if ticket.url is None else f"{ticket.body}\n{ticket.url}"
        name = self._message_id(ticket.incident)
        await self._send(self._message(ticket.title, text, name))
        return TicketRef(channel=self.channel, key=name, url="")

    async def describe(self, ref: TicketRef, text: str) -> None:
        """What was sent stays as it is."""

    async def attach(self, ref: TicketRef, links: Mapping[str, str]) -> None:
        """Nothing is sent for every run that joins."""

    async def comment(self, ref: TicketRef, key: str, text: str) -> None:
        """Answer in the same thread."""
        message = self._message("Re: incident in newel", text, self._message_id(ref.key + key))
        message["In-Reply-To"] = message["References"] = ref.key
        await self._send(message)

    async def resolve(self, ref: TicketRef) -> None:
        """The comment before has said it."""

    async def reopen(self, ref: TicketRef) -> None:
        """The comment that follows says it."""

    async def sweep(self, incident: str, ref: TicketRef) -> int:
        """What was sent twice cannot be taken back."""
        del incident, ref
        return 0

    def _message_id(self, what: str) -> str:
        host = self._sender.partition("@")[2] or "newel.invalid"
        return f"<newel-{hashlib.sha256(what.encode()).hexdigest()[:24]}@{host}>"

    def _message(self, subject: str, text: str, name: str) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = self._sender, self._to
        message["Subject"], message["Message-ID"] = subject, name
        message["Date"] = format_datetime(DEPLOYMENT.now())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    async def _send(self, message: EmailMessage) -> None:
        await asyncio.to_thread(self._sent, message)

    def _sent(self, message: EmailMessage) -> None:
        """Speak SMTP; raises the class of what went wrong."""
        server = self._server
        try:
            with smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S) as smtp:
                if server.starttls:
                    smtp.starttls(context=ssl.create_default_context())
                if server.user is not None and server.password is not None:
                    smtp.login(server.user, server.password.resolve().reveal())
                smtp.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code = next(iter(error.recipients.values()))[0]
            raise _judged(code, "The address was refused") from error
        except smtplib.SMTPResponseException as error:
            raise _judged(error.smtp_code, "The mail server refused") from error
        except smtplib.SMTPException as error:
            raise Transient(f"The mail server broke off ({type(error).__name__})") from error
        except OSError as error:
            raise Transient(f"No connection to the mail server ({type(error).__name__})") from error


def _judged(code: int, what: str) -> Transient | AuthFailed | Forbidden | Invalid:
    if code < _PERMANENT:
        return Transient(what, status=code)
    if code == _MAILBOX_UNKNOWN:
        return AuthFailed(what, status=code)
    return (Forbidden if code in _REFUSED_SENDER else Invalid)(what, status=code)


def mail(
    to: str,
    *,
    sender: str,
    host: str,
    port: int = 587,
    user: str | None = None,
    password: SecretRef | None = None,
) -> Mail:
    """Make a channel that writes to an address; it stands behind the tracker in `tickets`.

    The connection is encrypted, but to a server on this machine. Raises DefinitionError for an
    address that is none.
    """
    for address in (to, sender):
        if "@" not in address or any(each in address for each in "\r\n"):
            raise DefinitionError(
                f"mail() got {address!r}, which is no address.", fix="one like `it@acme.example`."
            )
    server = _Server(
        host=host, port=port, user=user, password=password, starttls=not is_loopback(host)
    )
    return Mail(to=to, sender=sender, server=server)
