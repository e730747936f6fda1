from __future__ import annotations

import asyncio
import json
import logging
import threading
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from newel.base.clock import FakeClock
from newel.base.errors import (
    AuthFailed,
    ContractDrift,
    DefinitionError,
    Forbidden,
    OutcomeUnknown,
    StepError,
    Throttled,
    Transient,
)
from newel.base.secrets import SecretRef
from newel.connectors.addresses import is_loopback
from newel.connectors.answers import Answer, Route, judged_by_status, sanitised
from newel.connectors.auth import BearerCredential
from newel.connectors.gate import LimitHeaders, MemoryGate
from newel.connectors.http import Http, Service, Timeouts
from newel.connectors.looking import WouldChange, looking
from newel.connectors.slack import Slack
from tests.connectors.support import START, Time, attempt, raised

READ = Route("thing/read", "GET", "/things/{thing}")
WRITE = Route("thing/write", "POST", "/things/{thing}", "things")
REPEATABLE = Route("thing/put", "PUT", "/things/{thing}", repeatable=True)
LISTING = Route("thing/list", "GET", "/things")


class Recording(httpx2.AsyncBaseTransport):
    """Answers as it is told, and keeps what was asked."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Give the next answer, the last one again and again."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(
            answer.status_code, headers=answer.headers, content=answer.content, request=request
        )


def client(
    transport: httpx2.AsyncBaseTransport | None,
    *,
    url: str = "https://api.example",
    limits: Any = lambda _: None,
    clock: FakeClock | None = None,
    **more: Any,
) -> Http:
    """Make a client with the secret of T_HTTP_TOKEN."""
    service = Service(
        name="thing",
        addresses={"": url},
        judged=judged_by_status,
        limits=limits,
        request_id=("x-request-id",),
        **more,
    )
    clock = clock or FakeClock(START)
    credential = BearerCredential(SecretRef("env:T_HTTP_TOKEN"))
    return Http(service, credential, MemoryGate((), clock=clock), clock, transport=transport)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("T_HTTP_TOKEN", "planted-canary-1")
    SecretRef("env:T_HTTP_TOKEN").resolve(fresh=True)


@pytest.mark.parametrize(
    "url",
    ["http://api.example", "ftp://api.example", "http://127.0.0.1.evil.example", "//api.example"],
)
def test_credentials_never_travel_in_the_open(url: str):
    """Anything but https is refused for hosts that are not this machine."""
    with pytest.raises(DefinitionError):
        client(None, url=url)


async def test_a_system_is_waited_for_as_long_as_it_is_told():
    """Five seconds for a connection and twenty for an answer, unless another time is given."""
    plain = Recording(httpx2.Response(200, json={}))
    await client(plain).call(LISTING)
    slow = Recording(httpx2.Response(200, json={}))
    timeouts = Timeouts(connect=timedelta(seconds=10), answer=timedelta(seconds=45))
    await client(slow, timeouts=timeouts).call(LISTING)
    waits = [each.requests[0].extensions["timeout"] for each in (plain, slow)]
    assert [(each["connect"], each["read"]) for each in waits] == [(5, 20), (10, 45)]
    made = Slack(token=SecretRef("env:T_HTTP_TOKEN"), timeouts=timeouts)
    assert made.http.service.timeouts == timeouts


@pytest.mark.parametrize("seconds", [0, -1, 61])
def test_nobody_is_waited_for_longer_than_a_minute(seconds: int):
    """A time in which nobody can answer, or for which nobody would wait, is refused."""
    with pytest.raises(DefinitionError, match="a minute at most"):
        Timeouts(answer=timedelta(seconds=seconds))


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"])
def test_this_machine_may_be_spoken_to_in_the_open(url: str):
    """Plain http is allowed on loopback, where the simulators are."""
    client(None, url=url)


def test_a_name_that_looks_like_loopback_is_not():
    """Only addresses of the loopback net and the name localhost are this machine."""
    assert [is_loopback(host) for host in ("127.9.9.9", "::1", "localhost.evil", "10.0.0.1")] == [
        True,
        True,
        False,
        False,
    ]


async def test_a_redirect_is_drift_and_is_not_followed():
    """A redirection is reported; the credential goes nowhere else."""
    transport = Recording(httpx2.Response(302, headers={"Location": "https://evil.example"}))
    await raised(client(transport).call(READ, {"thing": "1"}), ContractDrift)
    assert len(transport.requests) == 1


async def test_links_to_other_hosts_are_refused_before_anything_is_sent():
    """A pagination link to a strange host is drift; nothing leaves."""
    transport = Recording(httpx2.Response(200, json={}))
    http = client(transport)
    await raised(http.call(READ, url="https://evil.example/things"), ContractDrift)
    await raised(http.call(READ, url="https://api.example:444/things"), ContractDrift)
    assert transport.requests == []
    await http.call(READ, url="https://api.example/things?page=2")
    assert len(transport.requests) == 1


async def test_a_moved_address_must_be_trusted():
    """A system may name another address of its own, and no other."""
    transport = Recording(httpx2.Response(200, json={}))
    http = client(transport)

    def is_ours(host: str) -> bool:
        return host.endswith(".api.example")

    with pytest.raises(Forbidden):
        http.addresses.move("", "https://evil.example", trusted=is_ours)
    http.addresses.move("", "https://eu.api.example", trusted=is_ours)
    await http.call(READ, {"thing": "1"})
    assert transport.requests[0].url.host == "eu.api.example"


async def test_values_cannot_leave_their_place_in_the_path():
    """A value with slashes, dots or marks stays one part of the path."""
    transport = Recording(httpx2.Response(200, json={}))
    await client(transport).call(READ, {"thing": "../admin?x=1#y"}, query={"q": "a b&c"})
    assert transport.requests[0].url.raw_path == b"/things/..%2Fadmin%3Fx%3D1%23y?q=a%20b%26c"


async def test_nothing_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    """Neither a proxy of the environment nor a cookie of an answer changes a request."""
    monkeypatch.setenv("HTTPS_PROXY", "http://evil.example:3128")
    transport = Recording(httpx2.Response(200, json={}, headers={"Set-Cookie": "session=1"}))
    http = client(transport)
    await http.call(READ, {"thing": "1"})
    await http.call(READ, {"thing": "1"})
    opened = http.wire.client()
    assert opened.trust_env is False
    assert "cookie" not in transport.requests[1].headers
    assert transport.requests[1].headers["user-agent"].startswith("newel/")


async def test_a_huge_answer_is_cut_off():
    """An answer above ten mebibytes is drift, not memory."""
    transport = Recording(httpx2.Response(200, content=b"x" * (10 * 1024 * 1024 + 1)))
    await raised(client(transport).call(READ, {"thing": "1"}), ContractDrift)


async def test_addresses_stay_out_of_the_log(caplog: pytest.LogCaptureFixture):
    """The client's own log lines, which hold whole addresses, are off."""
    caplog.set_level(logging.DEBUG)
    transport = Recording(httpx2.Response(200, json={}))
    await client(transport).call(READ, {"thing": "jane.doe@acme.example"})
    assert "jane.doe" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "route", "kind"),
    [
        (httpx2.ConnectError("no"), WRITE, Transient),
        (httpx2.ConnectTimeout("no"), WRITE, Transient),
        (httpx2.PoolTimeout("no"), WRITE, Transient),
        (httpx2.ReadError("no"), READ, Transient),
        (httpx2.ReadError("no"), WRITE, OutcomeUnknown),
        (httpx2.ReadError("no"), REPEATABLE, OutcomeUnknown),
        (httpx2.ReadTimeout("no"), WRITE, OutcomeUnknown),
        (httpx2.WriteError("no"), WRITE, OutcomeUnknown),
        (httpx2.WriteTimeout("no"), READ, Transient),
        (httpx2.RemoteProtocolError("no"), WRITE, OutcomeUnknown),
        (httpx2.DecodingError("no"), WRITE, OutcomeUnknown),
    ],
)
async def test_network_faults_have_their_class(
    fault: Exception, route: Route, kind: type[StepError]
):
    """What was never sent is transient; a mutating request that may have arrived is unknown."""
    failed = await raised(client(Recording(fault)).call(route, {"thing": "1"}), StepError)
    assert type(failed) is kind
    assert failed.operation == route.operation
    assert failed.__cause__ is fault


@pytest.mark.parametrize(
    ("status", "route", "kind"),
    [
        (301, READ, ContractDrift),
        (400, READ, "Invalid"),
        (401, READ, "AuthFailed"),
        (403, READ, "Forbidden"),
        (404, READ, "NotReady"),
        (404, LISTING, "ContractDrift"),
        (405, READ, "ContractDrift"),
        (408, READ, "Transient"),
        (408, WRITE, "OutcomeUnknown"),
        (410, READ, "ContractDrift"),
        (422, WRITE, "Invalid"),
        (429, WRITE, "Throttled"),
        (500, READ, "Transient"),
        (500, WRITE, "OutcomeUnknown"),
        (500, REPEATABLE, "Transient"),
        (501, READ, "ContractDrift"),
    ],
)
def test_statuses_have_their_class(status: int, route: Route, kind: Any):
    """Without a vendor's code an answer is classed by its status."""
    verdict = judged_by_status(Answer(route, status, {}))
    name = kind if isinstance(kind, str) else kind.__name__
    assert type(verdict).__name__ == name


async def test_a_rotated_secret_is_taken_up_at_once(monkeypatch: pytest.MonkeyPatch):
    """A refused token is read again; only if its bytes have changed the request is repeated."""
    transport = Recording(httpx2.Response(401), httpx2.Response(200, json={}))
    http = client(transport)
    SecretRef("env:T_HTTP_TOKEN").resolve()
    monkeypatch.setenv("T_HTTP_TOKEN", "planted-canary-2")
    await http.call(WRITE, {"thing": "1"})
    sent = [request.headers["authorization"] for request in transport.requests]
    assert sent == ["Bearer planted-canary-1", "Bearer planted-canary-2"]


async def test_a_refused_secret_that_has_not_changed_is_sent_once():
    """The same token is not offered twice: that is how accounts get locked."""
    transport = Recording(httpx2.Response(401))
    await raised(client(transport).call(READ, {"thing": "1"}), AuthFailed)
    assert len(transport.requests) == 1


async def test_a_stated_wait_becomes_a_moment_within_a_day():
    """Retry-After is kept as a moment, at most a day ahead, never in the past."""
    for stated, expected in [("90", 90), ("999999", 86400), ("Mon, 05 Jan 2026 08:00:00 GMT", 0)]:
        transport = Recording(httpx2.Response(429, headers={"Retry-After": stated}))
        limited = await raised(client(transport).call(WRITE, {"thing": "1"}), Throttled)
        assert limited.retry_at == START + timedelta(seconds=expected)
        assert limited.bucket == "things"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("9" * 12, 86400),
        ("9" * 5000, 86400),
        ("²", None),
        (f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", None),
    ],
)
async def test_a_wait_beyond_all_numbers_is_a_day_or_none(stated: str, expected: int | None):
    """Whatever a system writes there, it is throttled, and no bug of ours."""
    headers = {"Retry-After": stated.encode()}
    transport = Recording(httpx2.Response(429, headers=headers))  # type: ignore[arg-type]
    limited = await raised(client(transport).call(WRITE, {"thing": "1"}), Throttled)
    assert limited.retry_at == (expected and START + timedelta(seconds=expected))


async def test_a_system_at_fault_is_asked_again_when_it_says():
    """Retry-After on a 5xx is kept as a moment, for reads and for what is in doubt alike."""
    later = httpx2.Response(503, headers={"Retry-After": "120"})
    for route, kind in ((READ, Transient), (WRITE, OutcomeUnknown)):
        failed = await raised(client(Recording(later)).call(route, {"thing": "1"}), kind)
        assert failed.retry_at == START + timedelta(seconds=120)
    plain = await raised(
        client(Recording(httpx2.Response(503))).call(READ, {"thing": "1"}), Transient
    )
    assert plain.retry_at is None


async def test_a_used_up_limit_closes_the_bucket():
    """An answer that says nothing is left holds back the next request until the reset."""
    transport = Recording(httpx2.Response(200, json={}))
    seen = LimitHeaders(remaining=0, reset_at=START + timedelta(minutes=5))
    http = client(transport, limits=lambda _: seen)
    await http.call(WRITE, {"thing": "1"})
    held = await raised(http.call(WRITE, {"thing": "1"}), Throttled)
    assert held.retry_at == START + timedelta(minutes=5)
    assert len(transport.requests) == 1


async def test_the_request_id_of_a_refusal_is_kept():
    """A failure carries the provider's request id, which support will ask for."""
    transport = Recording(httpx2.Response(500, headers={"X-Request-Id": "req-1"}))
    failed = await raised(client(transport).call(READ, {"thing": "1"}), Transient)
    assert failed.request_id == "req-1"


async def test_a_call_that_is_cancelled_is_recorded(time: Time):
    """A request cut off by the attempt's time-out stands in the record without a status."""

    class Silent(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError(request)

    asked = asyncio.Event()
    with attempt(time) as observed:
        task = asyncio.create_task(client(Silent()).call(WRITE, {"thing": "1"}))
        await asked.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [(call.operation, call.status) for call in observed.calls] == [("thing/write", None)]


async def test_while_looking_nothing_mutating_is_sent():
    """A look stops before the first request that could change something."""
    transport = Recording(httpx2.Response(200, json={}))
    http = client(transport)
    with looking():
        await http.call(READ, {"thing": "1"})
        would = await raised(http.call(WRITE, {"thing": "1"}), WouldChange)
    assert would.operation == "thing/write"
    assert [request.method for request in transport.requests] == ["GET"]


def test_each_event_loop_has_a_client_of_its_own():
    """A connector made once serves one loop after another, also from another thread."""
    http = client(Recording(httpx2.Response(200, json={})))
    seen: list[object] = []

    async def called() -> None:
        await http.call(READ, {"thing": "1"})
        seen.append(http.wire.client())
        await http.aclose()

    asyncio.run(called())
    thread = threading.Thread(target=lambda: asyncio.run(called()))
    thread.start()
    thread.join()
    assert len(seen) == 2
    assert seen[0] is not seen[1]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("no jane.doe@acme.example here", "no <address> here"),
        ("token github_pat_" + "a" * 40, "token <long text>"),
        ("call +49 170 1234567", "call +<number>"),
        ("group 'Jane Doe' exists", "group <text> exists"),
        (None, ""),
        ("x " * 200, "x " * 100 + "…"),
        ("x " * 98 + "Zyxelinda is taken", "x " * 98 + "…"),
        ("x" * 31 + " " + "é" * 200, "x" * 31 + " " + "é" * 108 + "…"),
    ],
)
def test_vendors_sentences_are_redacted(text: object, redacted: str):
    """Addresses, tokens, numbers and quoted values leave a vendor's sentence."""
    assert sanitised(text) == redacted


def test_an_answer_shows_nothing_of_its_body():
    """The printed form of an answer has status and operation only."""
    answer = Answer(READ, 200, {}, json.dumps({"name": "Jane"}).encode())
    assert repr(answer) == "<Answer 200 to thing/read>"
