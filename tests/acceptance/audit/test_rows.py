"""Which test holds which row of the lists for the audit log; `rows.txt` is the table.

A test that is renamed or lost is missed here; a row without one stands there with its reason.
Source: our own audit document, §9 (checks), §10 (attacks), §17 (vectors), §18 (acceptance).
"""

from __future__ import annotations

from pathlib import Path

from newel.engine.verifying import verifier
from tests.acceptance.rows import nowhere, table

TABLE = Path(__file__).parent / "rows.txt"
ACCEPTANCE = {
    *("r26_immutable", "r27_ledger", "r28_one_transaction", "r29_retention", "r30_logs"),
    *("r31_evidence", "r32_authority", "tamper_matrix", "frozen_writer", "sequencer_race"),
    *("rollback_epoch", "key_rotation", "witness", "erasure", "confidential", "vectors"),
    "catalogue_complete",
}
VECTORS = {
    *("inclusion-6-92", "consistency-6-92", "tessera-17-17", "c2sp-notes", "jcs-6-6"),
    *("ed25519-172-742", "ocsf-classes", "independent-two"),
}


def test_every_row_has_its_test_or_a_reason():
    """Rows of §10, §17 and §18 are covered one by one; nothing stands in both."""
    rows, left = table(TABLE)
    attacks = {f"T{number:02}" for number in range(1, 26)}
    assert attacks | ACCEPTANCE | VECTORS | set(verifier().CHECKS) == set(rows) | set(left)
    assert not set(rows) & set(left)
    assert all(len(reason) > 10 for reason in left.values())


def test_every_test_of_the_table_is_there():
    """Each row names tests that exist."""
    rows, _ = table(TABLE)
    assert nowhere(rows) == []
