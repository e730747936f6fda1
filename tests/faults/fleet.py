"""A fleet of newel's own programs as real processes, with everything that can be done to them."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from newel.connectors.trust import public_authorities
from tests.faults.book import Book
from tests.faults.proxy import Proxy
from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


class Fleet:
    """Workers and servers of one deployment; each reaches the database through its own proxy."""

    def __init__(
        self, zygote: asyncio.subprocess.Process, place: Path, dsn: str, book: Book
    ) -> None:
        self._zygote = zygote
        self._place = place
        self._dsn = dsn
        self._book = book
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._said = asyncio.create_task(self._listen())
        self._key = base64.b64encode(b"k" * 32).decode()
        self.ended: dict[int, int] = {}
        self.pids: dict[str, int] = {}
        self.proxies: dict[str, Proxy] = {}
        self.settings: dict[str, str] = {}

    async def _listen(self) -> None:
        assert self._zygote.stdout is not None
        while line := await self._zygote.stdout.readline():
            said = json.loads(line)
            if "started" in said:
                self._started.put_nowait(said["started"])
            else:
                self.ended[said["pid"]] = said["status"]

    async def proxy(self, name: str) -> Proxy:
        """The proxy of a program; it lives as long as the fleet."""
        if name not in self.proxies:
            self.proxies[name] = await Proxy(_port(self._dsn)).__aenter__()
        return self.proxies[name]

    def turn_to(self, dsn: str) -> None:
        """Send everybody to another server from now on; the lines to the former one are cut."""
        self._dsn = dsn
        for proxy in self.proxies.values():
            proxy.target = _port(dsn)
            proxy.cut(reset=True)

    def address(self, proxy: Proxy) -> str:
        """The address of the database through a proxy."""
        before, _, after = self._dsn.rpartition(":")
        return f"{before}:{proxy.port}/{after.partition('/')[2]}"

    async def run(self, name: str, *argv: str, **env: str) -> None:
        """Start a program under a name."""
        proxy = await self.proxy(name)
        order = {
            "name": name,
            "argv": list(argv),
            "cwd": str(self._place),
            "log": str(self._place / f"{name}.log"),
            "env": {
                "NEWEL_DATABASE_URL": self.address(proxy),
                "NEWEL_PROCESSES": json.dumps(["tests.faults.processes"]),
                "NEWEL_LEASE": "6",
                "NEWEL_HEARTBEAT": "1.5",
                "NEWEL_GRACE": "5",
                "NEWEL_TEST_KEK": self._key,
                "NEWEL_KEY_ENCRYPTION_KEY": "env:NEWEL_TEST_KEK",
                "BOOK_PORT": str(self._book.port),
                **self.settings,
                **env,
            },
        }
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        await self._zygote.stdin.drain()
        self.pids[name] = await asyncio.wait_for(self._started.get(), 60)

    async def worker(self, name: str, **env: str) -> None:
        """Start a worker under a name."""
        await self.run(name, "worker", **env)

    def is_alive(self, name: str) -> bool:
        """Whether a program runs, or is stopped."""
        return name in self.pids and self.pids[name] not in self.ended

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a program that runs."""
        if self.is_alive(name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pids[name], number)

    async def gone(self, name: str) -> int:
        """Wait until a program has ended; answers with its status.

        The one of now: another may be started under its name before this looks again.
        """
        pid = self.pids[name]
        while pid not in self.ended:
            await asyncio.sleep(0.02)
        return self.ended[pid]

    def log(self, name: str) -> str:
        """What a program has said."""
        path = self._place / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    async def start(self, api: int, process: str, name: str) -> None:
        """Start a run through the API, again and again with the same key until it answers."""
        await self._asked(api, f"processes/{process}/runs", name, {"Idempotency-Key": name})

    async def retry(self, api: int, run: str) -> None:
        """Try the parked steps of a run again, as a person does."""
        await self._asked(api, f"runs/{run}/retry", {}, {})

    async def _asked(self, api: int, path: str, body: object, headers: dict[str, str]) -> None:
        said: object = "nothing"
        latest = asyncio.get_running_loop().time() + PATIENCE_S
        async with httpx2.AsyncClient(
            verify=public_authorities(), trust_env=False, timeout=5
        ) as client:
            while asyncio.get_running_loop().time() < latest:
                with contextlib.suppress(httpx2.HTTPError):
                    answer = await client.post(
                        f"http://127.0.0.1:{api}/api/v1/{path}", json=body, headers=headers
                    )
                    said = answer.text
                    if answer.status_code < 300:
                        return
                await asyncio.sleep(0.05)
        raise AssertionError(f"the API does not take it: {said}; {self.log('api')[-2000:]}")


def _port(dsn: str) -> int:
    return int(dsn.rpartition(":")[2].partition("/")[0])


@contextlib.asynccontextmanager
async def fleet(place: Path, dsn: str, book: Book) -> AsyncIterator[Fleet]:
    """Give a fleet over a migrated database; all that it started ends with the block."""
    zygote = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.zygote",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
    )
    made = Fleet(zygote, place, dsn, book)
    try:
        yield made
    finally:
        for name in made.pids:
            made.signal(name, signal.SIGKILL)
        for name in list(made.pids):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(made.gone(name), PATIENCE_S)
        assert zygote.stdin is not None
        zygote.stdin.close()
        await asyncio.wait_for(zygote.wait(), PATIENCE_S)
        await made._said
        for proxy in made.proxies.values():
            await proxy.__aexit__()
