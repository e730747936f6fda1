"""Sending mail: the server it goes to, who it comes from, and what a refusal means.

SMTP comes from the standard library, in a thread. The connection is encrypted, but to a server on
this machine.
Source: connectors document, §20.
"""

from __future__ import annotations

import asyncio
import hashlib
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

from newel.base.clock import DEPLOYMENT
from newel.base.errors import AuthFailed, DefinitionError, Forbidden, Invalid, Transient
from newel.base.secrets import SecretRef
from newel.connectors.addresses import is_loopback

__all__ = ["Post", "checked_address", "is_address"]

_TIMEOUT_S: Final = 15.0
_REFUSED_SENDER: Final = frozenset({530, 550, 551, 553, 554})
_PERMANENT: Final = 500
_MAILBOX_UNKNOWN: Final = 535


def is_address(address: str) -> bool:
    """Whether a text can be written to, and brings no header of its own."""
    return "@" in address and not any(each in address for each in "\r\n")


def checked_address(what: str, address: str) -> str:
    """Give an address that an author wrote; raises DefinitionError for one that is none."""
    if not is_address(address):
        raise DefinitionError(
            f"{what} got {address!r}, which is no address.", fix="one like `it@acme.example`."
        )
    return address


class Post:
    """A mail server, and the address that its messages come from."""

    def __init__(
        self,
        *,
        sender: str,
        host: str,
        port: int = 587,
        user: str | None = None,
        password: SecretRef | None = None,
    ) -> None:
        """Prepare; nothing is connected before the first message."""
        self.sender = sender
        self.address = f"{host}:{port}"
        self._host = host
        self._port = port
        self._user = user
        self._password = password

    def message_id(self, what: str) -> str:
        """Make a `Message-ID`, the same for the same matter."""
        host = self.sender.partition("@")[2] or "newel.invalid"
        return f"<newel-{hashlib.sha256(what.encode()).hexdigest()[:24]}@{host}>"

    def message(self, to: str, subject: str, text: str, name: str) -> EmailMessage:
        """Write a message that is named by `name`."""
        message = EmailMessage()
        message["From"], message["To"] = self.sender, to
        message["Subject"], message["Message-ID"] = subject, name
        message["Date"] = format_datetime(DEPLOYMENT.now())
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        return message

    async def send(self, message: EmailMessage) -> None:
        """Send; raises Transient, AuthFailed, Forbidden or Invalid by what the server says."""
        await asyncio.to_thread(self._sent, message)

    def _sent(self, message: EmailMessage) -> None:
        """Speak SMTP; raises the class of what went wrong."""
        try:
            with smtplib.SMTP(self._host, self._port, timeout=_TIMEOUT_S) as smtp:
                if not is_loopback(self._host):
                    smtp.starttls(context=ssl.create_default_context())
                if self._user is not None and self._password is not None:
                    smtp.login(self._user, self._password.resolve().reveal())
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
