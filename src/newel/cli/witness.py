"""A witness, run by somebody else than the company's operators: auditor, security, parent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from newel.cli.output import say

__all__ = ["witness"]

witness: Final = App(name="witness", help="Cosign the checkpoints of somebody's log.")


@witness.command
def serve(
    *,
    policy: Annotated[Path, Parameter(help="Whose logs: the policy that the operator gave you.")],
    state: Annotated[Path, Parameter(help="Folder in which the last heads are remembered.")],
    key: Annotated[str, Parameter(help="Where the key lies: 32 bytes in base64, by reference.")],
    name: Annotated[str, Parameter(help="Name of this witness: a domain and a path of yours.")],
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 takes a free one.")] = 8421,
) -> None:
    """Serve `POST /add-checkpoint` until Ctrl-C; prints the line that auditors put into policies.

    It needs no database, and remembers for each log the last head that it has cosigned.
    """
    import base64
    import importlib

    from newel.audit.note import COSIGNATURE, SigningKey
    from newel.audit.trust import Policy
    from newel.base.secrets import SecretRef
    from newel.cli.deployment import carried_out
    from newel.cli.programs import asked_to_stop, served
    from newel.engine.witness import Witness

    seed = base64.b64decode(SecretRef(key).resolve().reveal())
    signing = SigningKey(name, seed)
    watching = Witness(signing, Policy.parsed(policy.read_bytes()), state)

    async def run() -> None:
        app = importlib.import_module("newel.web.witness").create_witness(watching)
        async with served(app, host, port) as address:
            say(f"witness w1 {signing.verifier(COSIGNATURE)}\nlistening at {address}")
            await asked_to_stop()

    carried_out(run())
