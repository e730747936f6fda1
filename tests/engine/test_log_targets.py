"""Log lines leave: every server has them whole, one that is away holds up nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import closing

import pytest
from fastapi import Response

from newel.base import log
from newel.base.errors import InvalidInput, StoreError
from newel.engine import log_targets
from newel.engine.collectors import Otlp
from newel.engine.log_targets import collector_of, lines_to
from newel.engine.reconciling import reconciled
from newel.engine.shipping import shipped_to
from newel.engine.told import service
from newel.store.export import snapshot
from tests.engine.collecting import collector, syslog
from tests.engine.test_event_export import LEO, sealed
from tests.patience import PATIENCE_S

__all__ = ["sealed"]

HERE = service("worker", "here")


def line(n, **more):
    """A line as newel writes it."""
    said = {"ts": "2026-03-01T09:00:00.000001Z", "level": "warning", "event": "lease lost", **more}
    return json.dumps({**said, **HERE.written, "n": n}, separators=(",", ":")).encode() + b"\n"


def sent_and_taken():
    """Lines, and how servers of syslog see them: priority, moment, host, program, kind, line."""
    sent = [line(n, text="O'Hara 🦊 100 % \\ <9>") for n in range(3)]
    sent.append(line(3, audit={"id": "x", "stream": "run/run_1", "seq": 1, "leaf_hash": "ab"}))
    head = "<132>1 2026-03-01T09:00:00.000001Z host-1.example newel-worker"
    kinds = zip(sent, ["line", "line", "line", "audit"], strict=True)
    return b"".join(sent), [f"{head} - {kind} - {each.decode().rstrip()}" for each, kind in kinds]


async def test_rsyslog_takes_each_line_whole(tmp_path):
    """Over TCP, in frames that are counted: nothing in a line can end it."""
    sent, taken = sent_and_taken()
    with syslog(tmp_path) as server:
        lines = lines_to([f"syslog:tcp://127.0.0.1:{server.port}"], tmp_path, "host 1.example")
        lines.write(sent)
        assert await server.lines(4) == taken
        lines.close()


def test_a_datagram_is_a_message(tmp_path):
    """Over UDP each line is one; what is too long is cut, and the next one comes all the same."""
    sent, taken = sent_and_taken()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE_S)
        place = f"syslog:udp://127.0.0.1:{server.getsockname()[1]}"
        with closing(lines_to([place], tmp_path, "host 1.example")) as lines:
            lines.write(sent + line(4, text="x" * 70_000) + line(5))
            assert [server.recv(65_536).decode() for _ in range(4)] == taken
            assert len(server.recv(65_536)) == 60_000
            assert server.recv(65_536).decode().endswith('"n":5}')


async def test_a_collector_of_opentelemetry_takes_records(tmp_path):
    """Read by the protocol's own messages: program, severity, moment, body, event and hash."""
    async with collector() as server:
        audit = {"id": "x", "stream": "run/run_1", "seq": 7, "leaf_hash": "ab"}
        sent = line(0, audit=audit, run="run_1", trace_id="ab" * 16) + b"no json\n"
        with closing(Otlp(server.url, "h")) as otlp:
            await asyncio.to_thread(otlp.send, sent.splitlines(keepends=True))
        whole, strange = server.records()
        resource = server.requests[0].resource_logs[0].resource
        named = {each.key: each.value.string_value for each in resource.attributes}
        assert (named["service.name"], named["host.name"]) == ("worker", "h")
        assert whole.body.string_value.encode() == sent.splitlines()[0]
        assert (whole.severity_number, whole.severity_text) == (13, "WARNING")
        assert (whole.event_name, whole.trace_id) == ("lease lost", b"\xab" * 16)
        assert whole.time_unix_nano == 1_772_355_600_000_001_000
        found = {each.key: each.value for each in whole.attributes}
        assert found["newel.audit.leaf_hash"].string_value == "ab"
        assert found["newel.audit.seq"].int_value == 7
        assert strange.body.string_value == "no json"


async def test_what_a_collector_does_not_take_is_not_taken(tmp_path):
    """A refusal, a part of them refused, nobody there: each is an error, and no line is lost."""
    async with collector() as server:
        server.answers = [
            Response(status_code=503),
            Response('{"partialSuccess":{"rejectedLogRecords":"1"}}'),
        ]
        with closing(Otlp(server.url, "h")) as otlp:
            for _ in range(2):
                with pytest.raises(StoreError):
                    await asyncio.to_thread(otlp.send, [line(0)])
            await asyncio.to_thread(otlp.send, [line(0)])
        assert len(server.records()) == 1
    with closing(Otlp(server.url, "h")) as otlp, pytest.raises(StoreError):
        await asyncio.to_thread(otlp.send, [line(0)])


async def test_what_is_strange_about_a_collector_ends_no_thread(tmp_path, monkeypatch):
    """An answer in another form is a yes; an address that is none is one that does not answer."""
    async with collector() as server:
        strange = ('{"partialSuccess":[1]}', '{"partialSuccess":{"rejectedLogRecords":[]}}')
        server.answers = [Response(each) for each in strange]
        monkeypatch.setattr(log_targets, "_AT_ONCE", 1)
        lines = lines_to([f"otlp:{server.url}"], tmp_path, "h")
        lines.write(line(0) + line(1) + line(2))
        await asyncio.to_thread(lines.close)
        told = [json.loads(each.body.string_value) for each in server.records()]
        assert [each["n"] for each in told] == [2]
    with closing(Otlp("https://collector.example:port/", "h")) as otlp, pytest.raises(StoreError):
        await asyncio.to_thread(otlp.send, [line(0)])


async def test_a_line_that_a_server_will_never_take_holds_up_nobody(tmp_path, monkeypatch):
    """What is refused as bad is counted as lost, and not sent for ever; 204 is a yes, too."""
    monkeypatch.setattr(log_targets, "_AT_ONCE", 1)
    monkeypatch.setattr(log_targets, "_PAUSES_S", (0.01,))
    async with collector() as server:
        server.answers = [Response(status_code=400)]
        lines = lines_to([f"otlp:{server.url}"], tmp_path, "h")
        lines.write(line(0) + line(1))
        await asyncio.to_thread(lines.close)
        told = [json.loads(each.body.string_value) for each in server.records()]
        assert [each.get("n", each.get("lines")) for each in told] == [1, 1]
        assert told[0]["event"] == "log lines lost"
        server.answers = [Response(status_code=204)]
        with closing(Otlp(server.url, "h")) as otlp:
            await asyncio.to_thread(otlp.send, [line(2)])


async def test_a_server_that_is_away_holds_up_nobody(tmp_path, monkeypatch):
    """Lines wait, the oldest are dropped and counted, the rest come in order; the file has all."""
    monkeypatch.setattr(log_targets, "_WAITING", 30)
    monkeypatch.setattr(log_targets, "_PAUSES_S", (0.01,))
    monkeypatch.setattr(log_targets, "_AT_ONCE", 10)
    door = threading.Event()
    taken, enough = [], threading.Event()

    class Gated:
        """A server behind a door."""

        def send(self, batch):
            if not door.is_set():
                raise ConnectionRefusedError
            taken.extend(batch)
            if json.loads(batch[-1])["n"] == 99:
                enough.set()

        def close(self):
            """Nothing is open."""

    monkeypatch.setattr(
        log_targets, "collector_of", lambda text, _: Gated() if text == "x" else None
    )
    lines = lines_to(["x", "file:all.jsonl"], tmp_path, "h")
    for n in range(100):
        lines.write(line(n))
    door.set()
    assert await asyncio.to_thread(enough.wait, 60)
    lines.close()
    told = [json.loads(each) for each in taken]
    lost = sum(each["lines"] for each in told if each["event"] == "log lines lost")
    kept = [each["n"] for each in told if "n" in each]
    assert kept == sorted(kept)
    assert (kept[-1], len(kept) + lost) == (99, 100)
    assert lost >= 100 - 30 - 10  # those that were on their way are beside those that wait
    assert (tmp_path / "all.jsonl").read_bytes() == b"".join(line(n) for n in range(100))
    assert (tmp_path / "all.jsonl").stat().st_mode & 0o777 == 0o600


async def test_lines_of_the_program_go_to_all_places(tmp_path, capfdbinary):
    """What structlog writes is one line at each."""
    event = log.declare("something happened", "how")
    lines = lines_to(["stdout", "file:a.jsonl", "file:b.jsonl"], tmp_path, "h")
    log.configure(HERE, stream=lines)
    try:
        log.logger().warning(event, how="well", secret="hush")
    finally:
        log.configure(HERE)
    out = capfdbinary.readouterr().out
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes() == out
    assert (json.loads(out)["how"], json.loads(out)["dropped"]) == ("well", ["secret"])


async def test_the_log_is_shipped_to_servers_and_held_against_it(sealed, tmp_path):
    """Each event once, on from where it ended; what both keep reconciles, one less does not."""
    with syslog(tmp_path) as rsyslog:
        async with collector() as otel:
            kept = {}
            for kind, server in (
                ("syslog", collector_of(f"syslog:tcp://127.0.0.1:{rsyslog.port}", "h")),
                ("otlp", collector_of(f"otlp:{otel.url}", "h")),
            ):
                assert server is not None
                cursor = tmp_path / f"cursor.{kind}"
                many = await shipped_to(sealed.database, server, cursor, HERE)
                assert many > 20
                assert await shipped_to(sealed.database, server, cursor, HERE) == 0
                kept[kind] = many
            lines = [each.encode() for each in await rsyslog.lines(kept["syslog"])]
            both = {"syslog": lines, "otlp": otel.kept}
            otel.answers = [Response(status_code=503)]
            (tmp_path / "cursor.otlp").unlink()
            with pytest.raises(StoreError):
                await shipped_to(
                    sealed.database, Otlp(otel.url, "h"), tmp_path / "cursor.otlp", HERE
                )
            assert not (tmp_path / "cursor.otlp").exists(), "what was not taken is sent again"
    for kind, stored in both.items():
        assert LEO["name"].encode() not in b"".join(stored)
        async with snapshot(sealed.database) as seen:
            told = await reconciled(seen.connection, stored)
            assert (told.code, told.lines) == (0, kept[kind]), kind
    async with snapshot(sealed.database) as seen:
        fewer = await reconciled(seen.connection, [*lines[:5], *lines[6:]])
        assert (fewer.code, fewer.lost_lines, fewer.lost_events) == (2, 1, 0)


@pytest.mark.parametrize(
    "place",
    ["", "stdout:x", "file:", "syslog:here", "syslog:tcp://", "syslog:tcp://h:x", "otlp:h:4318"],
)
def test_a_place_that_cannot_be_is_refused(place, tmp_path):
    """A mistake in the setting is told when the program starts."""
    with pytest.raises(InvalidInput):
        lines_to([place], tmp_path, "h")
