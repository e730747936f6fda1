"""What all workers share of each credential: its limits, its tokens, its outages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from newel.connectors.gate import Pause
from newel.engine.gates import Limited, SharedGate
from newel.engine.incidents import Probed
from newel.engine.knowing import Knowing
from newel.engine.token_keeping import Renews, TokenKeeping
from newel.engine.vault import Vault
from newel.store.database import Database

__all__ = ["gates_of", "shared"]


def shared(database: Database, vault: Vault, connectors: Sequence[Probed]) -> Knowing:
    """Let all workers share the limits of each credential, and what is known of it."""
    for each in connectors:
        if isinstance(each, Limited):
            each.share(gates_of(database))
        if isinstance(each, Renews):
            each.keep_tokens_in(TokenKeeping(database, vault))
    return Knowing(database, connectors)


def gates_of(database: Database) -> Callable[[Limited, Pause], SharedGate]:
    """Give a maker of the gates that all workers on a database share, each of one credential."""

    def gate(connector: Limited, pause: Pause) -> SharedGate:
        return SharedGate(
            database,
            connector.credential,
            connector.buckets,
            clock=connector.clock,
            pause=pause,
        )

    return gate
