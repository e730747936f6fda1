"""The mail server: what it keeps, how it refuses and breaks, spoken to by the standard library."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest

from newel.simulators import (
    Down,
    Hang,
    Latency,
    LoseResponse,
    MailSimulator,
    RemoveScope,
    ResetBefore,
    RevokeToken,
    SimulatedClock,
    Status,
    Throttle,
    Truncate,
    VendorError,
    serve,
)
from tests.ports import neighbouring
from tests.simulators.support import START, plain

FIRST = "<first@acme.example>"


@pytest.fixture
async def server() -> AsyncIterator[MailSimulator]:
    """A mail server on a free port, at one moment."""
    simulator = MailSimulator(clock=SimulatedClock(standing_at=START))
    async with serve([simulator]):
        yield simulator


def written(text: str = "GitHub is down.\n", **headers: str) -> EmailMessage:
    """Write a mail to two people."""
    message = EmailMessage()
    message["From"], message["To"] = "newel@acme.example", "it@acme.example, ops@acme.example"
    message["Subject"] = "Störung"
    for name, value in {"Message_ID": FIRST, **headers}.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message


async def sent(
    server: MailSimulator,
    message: EmailMessage | None = None,
    *,
    password: str | None = None,
    timeout_s: float = 15,
) -> dict[str, tuple[int, bytes]]:
    """Send by smtplib, in a thread; gives the recipients that were refused."""
    told = server.credentials()

    def speak() -> dict[str, tuple[int, bytes]]:
        host, port = told["MAIL_HOST"], int(told["MAIL_PORT"])
        with smtplib.SMTP(host, port, timeout=timeout_s) as smtp:
            if password is not None:
                smtp.login(told["MAIL_USER"], password)
            return smtp.send_message(message or written())

    return await asyncio.to_thread(speak)


async def test_a_mail_is_kept_as_a_person_reads_it(server):
    """Names, thread, addresses, subject and text, dots and umlauts included; the page shows it."""
    await sent(server, written("Über 3 Läufe warten.\n.\n..\nDas war's.\n"))
    await sent(server, written("<b>Over</b>\n", Message_ID="<2@acme.example>", References=FIRST))
    first, second = server.mails()
    assert (first["message_id"], first["references"]) == (FIRST, [])
    assert (first["subject"], first["from"]) == ("Störung", "newel@acme.example")
    assert first["to"] == ["it@acme.example", "ops@acme.example"]
    assert first["text"] == "Über 3 Läufe warten.\n.\n..\nDas war's.\n"
    assert first["received_at"] == "2026-01-05T09:00:00Z"
    assert second["references"] == [FIRST]
    operations = [call.operation for call in server.calls()][:5]
    assert operations == ["CONNECT", "MAIL", "RCPT", "RCPT", "DATA"]
    assert [call.effect_key for call in server.calls(committed=True)] == [
        FIRST,
        "<2@acme.example>",
    ]
    async with plain(server) as client:
        page = (await client.get("/_sim/", headers={"X-Sim-Token": server.admin_token})).text
    assert "Über 3 Läufe warten." in page and "&lt;b&gt;Over&lt;/b&gt;" in page
    assert '<td data-head="Follows">Störung</td>' in page


async def test_the_same_mail_again_is_a_second_one_and_is_counted(server):
    """Mail has no idempotency: the book says what was sent twice."""
    await sent(server)
    server.assert_exactly_once(f"mail/{FIRST}")
    await sent(server)
    assert (len(server.mails()), server.book.doubled()) == (2, {f"mail/{FIRST}": 1})


@pytest.mark.parametrize(
    ("effect", "code"),
    [
        (Status(451), 451),
        (Status(550, "5.1.1 No\r\nsuch user"), 550),
        (VendorError("452"), 452),
        (Throttle(), 450),
        (RemoveScope("send"), 550),
        (RevokeToken(), 530),
    ],
    ids=["4xx", "5xx", "vendor", "throttle", "scope", "revoked"],
)
async def test_it_refuses_as_the_rule_says_until_it_is_healed(server, effect, code):
    """The code reaches the client, nothing is kept, and after healing mail is taken again."""
    server.fail("*" if isinstance(effect, RemoveScope | RevokeToken) else "RCPT", effect)
    with pytest.raises((smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused)) as refused:
        await sent(server)
    wrong = refused.value
    if isinstance(wrong, smtplib.SMTPSenderRefused):
        codes = {wrong.smtp_code}
    else:
        assert isinstance(wrong, smtplib.SMTPRecipientsRefused)
        codes = {code for code, _ in wrong.recipients.values()}
    assert (codes, server.mails()) == ({code}, [])
    server.heal()
    assert await sent(server) == {}
    assert len(server.mails()) == 1


async def test_one_address_can_be_refused_alone(server):
    """Who is no more gets nothing, the other does."""
    server.fail("RCPT", VendorError("550"), contains="ops@")
    assert await sent(server) == {"ops@acme.example": (550, b"5.1.1 No such user here")}
    assert server.mails()[0]["to"] == ["it@acme.example"]


@pytest.mark.parametrize(
    ("operation", "effect", "kept"),
    [
        ("*", Down(), 0),
        ("DATA", ResetBefore(), 0),
        ("DATA", LoseResponse(), 1),
    ],
    ids=["down", "before", "lost"],
)
async def test_a_cut_connection_is_really_cut(server, operation, effect, kept):
    """The client cannot know whether the mail was taken; the book does."""
    server.fail(operation, effect, times=1)
    with pytest.raises((OSError, smtplib.SMTPException)):
        await sent(server)
    assert len(server.mails()) == kept
    await sent(server)
    assert len(server.mails()) == kept + 1


async def test_a_reply_can_be_cut_in_its_middle(server):
    """Half a line arrives, and then the end."""
    server.fail("CONNECT", Truncate())
    reader, writer = await asyncio.open_connection(*server.door)
    said = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b"220 mail.acme.example".startswith(said[:15])
    assert (len(said) > 4, said.endswith(b"\n")) == (True, False)


async def test_it_may_never_answer_or_answer_late(server):
    """A hanging server is left by the client's timeout; a slow one is waited for by its sleep."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    server.sleep = sleep
    server.fail("DATA", Hang(), times=1)
    with pytest.raises((OSError, smtplib.SMTPException)):
        await sent(server, timeout_s=0.3)
    server.fail("DATA", Latency(fixed_ms=1500))
    await sent(server)
    assert (slept[-1], len(server.mails())) == (1.5, 1)


async def test_who_signs_in_needs_the_password(server):
    """The right one is taken, a wrong one refused by 535."""
    await sent(server, password=server.credentials()["MAIL_PASSWORD"])
    assert server.calls("DATA")[0].credential == "newel"
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        await sent(server, password="wrong")
    assert refused.value.smtp_code == 535


async def test_what_is_out_of_order_is_refused(server):
    """Commands in the wrong order or unknown ones, and what is too big, lead nowhere."""
    reader, writer = await asyncio.open_connection(*server.door)
    assert (await reader.readline()).startswith(b"220 ")
    for line, code in (
        (b"RCPT TO:<it@acme.example>", b"503"),
        (b"DATA", b"503"),
        (b"MAIL it@acme.example", b"501"),
        (b"AUTH LOGIN", b"504"),
        (b"AUTH PLAIN !", b"535"),
        (b"VRFY it", b"502"),
        (b"NOOP", b"250"),
        (b"MAIL FROM:<a@acme.example>", b"250"),
        (b"RCPT it", b"501"),
        (b"RCPT TO:<it>", b"501"),
        (b"RSET", b"250"),
        (b"RCPT TO:<it@acme.example>", b"503"),
        (b"QUIT", b"221"),
    ):
        writer.write(line + b"\r\n")
        assert (line, (await reader.readline())[:3]) == (line, code)
    assert await reader.read() == b""
    writer.close()
    with pytest.raises(smtplib.SMTPException):
        await sent(server, written("x" * 70 + "\n" + ("y" * 70 + "\n") * 16_000))
    assert server.mails() == []


async def test_its_door_follows_the_pages_and_closes_with_them(tmp_path):
    """On given ports the door is the one after the last; state is kept; then nobody answers."""
    port = neighbouring(26_500)
    kept = tmp_path / "mail.json"
    simulator = MailSimulator()
    simulator.keep_in(kept)
    async with serve([simulator], base_port=port) as addresses:
        assert addresses == {"mail": f"http://127.0.0.1:{port}"}
        assert simulator.credentials()["MAIL_PORT"] == str(port + 1)
        assert simulator.door is not None
        _, waiting = await asyncio.open_connection(*simulator.door)
        await sent(simulator)
    waiting.close()
    await waiting.wait_closed()
    with pytest.raises(OSError, match=r"."):
        await asyncio.open_connection("127.0.0.1", port + 1)
    again = MailSimulator()
    again.keep_in(kept)
    assert [each["message_id"] for each in again.mails()] == [FIRST]
    again.reset()
    assert again.mails() == []
