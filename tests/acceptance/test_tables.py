"""Which test holds which row of the design's acceptance lists; `*/rows.txt` are the tables.

A test that is renamed or lost is missed here; a row without one stands there with its reason.
Source: connectors document, §23; drawing document, §18; audit document, §9 (checks), §10
(attacks), §17 (vectors), §18 (acceptance).
"""

from __future__ import annotations

from pathlib import Path

import pytest

from newel.engine.verifying import verifier
from tests.acceptance.rows import nowhere, table

AUDIT = {
    *("r26_immutable", "r27_ledger", "r28_one_transaction", "r29_retention", "r30_logs"),
    *("r31_evidence", "r32_authority", "tamper_matrix", "frozen_writer", "sequencer_race"),
    *("rollback_epoch", "key_rotation", "witness", "erasure", "confidential", "vectors"),
    *("catalogue_complete", "inclusion-6-92", "consistency-6-92", "tessera-17-17", "c2sp-notes"),
    *("jcs-6-6", "ed25519-172-742", "ocsf-classes", "independent-two"),
    *(f"T{number:02}" for number in range(1, 26)),
    *verifier().CHECKS,
}
LISTS = {
    "audit": AUDIT,
    "connectors": {f"C{number}" for number in range(1, 52)},
    "drawing": {f"S{number}" for number in range(1, 23)},
}


@pytest.mark.parametrize("about", LISTS)
def test_every_row_has_its_tests_or_a_reason(about):
    """A list of the design is covered row by row by tests that exist; nothing stands in both."""
    rows, left = table(Path(__file__).parent / about / "rows.txt")
    assert LISTS[about] == set(rows) | set(left)
    assert not set(rows) & set(left)
    assert all(len(reason) > 10 for reason in left.values())
    assert nowhere(rows) == []
