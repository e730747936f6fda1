"""A database in memory that the engine cannot tell from PostgreSQL.

It stands in at the boundary of `newel.store.database`: `MemoryDatabase` is a `Database`, and the
worker, the committer, the verbs and the incidents run over it unchanged. Behind it `Server` holds
the tables and answers named statements only (`named`): each has one function in `statements`, a
module for each file of the store.

To add a statement to the store is to add its function here; a test lists what is missing, and
`tests/conformance` runs the same tests on both.
"""

from newel.testing.memory import statements as statements
from newel.testing.memory.database import Carrier, MemoryConnection, MemoryDatabase, PlainCarrier
from newel.testing.memory.named import known, name_of
from newel.testing.memory.server import Server
from newel.testing.memory.transaction import Transaction, Waits

__all__ = [
    "Carrier",
    "MemoryConnection",
    "MemoryDatabase",
    "PlainCarrier",
    "Server",
    "Transaction",
    "Waits",
    "known",
    "name_of",
]
