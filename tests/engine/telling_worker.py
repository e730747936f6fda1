"""A process that sends what endpoints are owed: the address of one is in the environment."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from newel import SecretRef, endpoint
from newel.connectors.signatures import StandardWebhooks
from newel.engine import Engine, Vault
from newel.store.database import Database


async def main() -> None:
    """Send once, and stay."""
    siem = endpoint(
        "siem",
        os.environ["TO"],
        events=("run.started",),
        signed=StandardWebhooks(SecretRef("env:OUT_SECRET")),
        network="127.0.0.0/8",
    )
    database = await Database.open(os.environ["URL"])
    engine = Engine(database, Vault.at(Path(os.environ["KEK"])), [], endpoints=[siem])
    await engine.endpoints.send_due("siem")


if __name__ == "__main__":
    asyncio.run(main())
