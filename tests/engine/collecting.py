"""Servers for log lines: rsyslog as it is, and a collector that reads OTLP by its own schema."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import select
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from fastapi import FastAPI, Request, Response
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from tests.patience import PATIENCE_S, program
from tests.web.serving import served

_CONF: Final = """
module(load="imtcp" MaxSessions="10")
module(load="builtin:ompipe")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" port="0" listenPortFileName="{0}/tcp")
*.* action(type="ompipe" pipe="{0}/lines" template="raw")
"""


@dataclass(slots=True)
class Syslog:
    """A server of syslog; port: of TCP; pipe: descriptor from which it gives what it takes."""

    port: int
    pipe: int
    read: bytes = b""

    async def lines(self, many: int) -> list[str]:
        """Wait for so many messages, as the server read them."""
        while self.read.count(b"\n") < many:
            self.read += await asyncio.to_thread(self._more)
        *whole, rest = self.read.split(b"\n", many)
        self.read = rest
        return [each.decode() for each in whole]

    def _more(self) -> bytes:
        assert select.select([self.pipe], [], [], PATIENCE_S)[0], "rsyslog gives nothing"
        return os.read(self.pipe, 65_536)


@contextlib.contextmanager
def syslog(folder: Path) -> Iterator[Syslog]:
    """Run rsyslog on loopback; without one, skip with the line that says what to install."""
    found = shutil.which("rsyslogd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip("no rsyslog on this machine: apt-get install rsyslog")
    for name in ("lines", "tcp"):
        os.mkfifo(folder / name)
    # Open for both, or each side would wait for the other.
    pipe, told = (os.open(folder / name, os.O_RDWR) for name in ("lines", "tcp"))
    conf = folder / "conf"
    conf.write_text(_CONF.format(folder))
    try:
        with program([found, "-n", "-f", str(conf), "-i", str(folder / "pid")]):
            # The port is told once it is open.
            assert select.select([told], [], [], PATIENCE_S)[0], "rsyslog does not start"
            yield Syslog(int(os.read(told, 100)), pipe)
    finally:
        os.close(pipe)
        os.close(told)


@dataclass(slots=True)
class Collector:
    """What a collector was sent. answers: what it says instead of yes, one by one."""

    requests: list[ExportLogsServiceRequest] = field(default_factory=list)
    kept: list[bytes] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    url: str = ""

    def records(self) -> list[Any]:
        """Give all records, in order."""
        return [
            record
            for request in self.requests
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


@contextlib.asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    """Run a collector on loopback that judges each request by OpenTelemetry's own messages."""
    taken = Collector()
    app = FastAPI()

    @app.post("/v1/logs")
    async def logs(request: Request) -> Response:
        if taken.answers:
            return taken.answers.pop(0)
        assert request.headers["content-type"] == "application/json"
        body = await request.body()
        taken.requests.append(_parsed(json.loads(body)))
        taken.kept.append(body)
        return Response("{}", media_type="application/json")

    async with served(app) as url:
        taken.url = f"{url}/v1/logs"
        yield taken


def _parsed(said: Any) -> ExportLogsServiceRequest:
    """Read JSON of OTLP; ids of traces are hexadecimal there, unlike in other protocol buffers."""
    for resource in said["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for record in scope["logRecords"]:
                if "traceId" in record:
                    trace = bytes.fromhex(record["traceId"])
                    record["traceId"] = base64.b64encode(trace).decode()
    return json_format.ParseDict(said, ExportLogsServiceRequest())
