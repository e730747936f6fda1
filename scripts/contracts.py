"""Write the contracts anew: run the connectors' tests, note what is sent and read, add what the
vendors' documents say of it.

To be run after a connector sends or reads something new; a test says so.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from newel.connectors.contracts.agreed import Agreed, Contract, written
from newel.connectors.contracts.documents import Document, opened
from newel.connectors.contracts.schemas import Field

ROOT = Path(__file__).resolve().parent.parent
INTO = ROOT / "src" / "newel" / "connectors" / "contracts"
TESTS = ("tests/connectors", "tests/acceptance/connectors")
DESCRIBED = ROOT / "tests" / "contract" / "specs"


def main() -> int:
    """Run the tests, merge what they saw, write the files; 1 if a test fails for another reason."""
    with tempfile.TemporaryDirectory() as directory:
        command = ["-m", "pytest", "-q", "-n", "2", "-p", "tests.connectors.recording", *TESTS]
        environment = {**os.environ, "CONTRACTS_RECORDED_IN": directory}
        status = subprocess.run(
            [sys.executable, *command], cwd=ROOT, env=environment, check=False
        ).returncode
        notes = [
            each for file in Path(directory).iterdir() for each in json.loads(file.read_text())
        ]
    documents = [opened(file) for file in sorted(DESCRIBED.glob("*openapi*.json"))]
    for system, found in _by_system(notes).items():
        contract = Contract(system=system, operations=_operations(found))
        (INTO / f"{system}.json").write_bytes(written(_described(contract, documents)))
    return status


def _by_system(notes: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in notes:
        found[each["system"]].append(each)
    return found


def _operations(notes: list[dict[str, Any]]) -> dict[str, Agreed]:
    found: dict[str, Agreed] = {}
    by_operation = defaultdict(list)
    for each in notes:
        by_operation[each["operation"]].append(each)
    for operation, seen in sorted(by_operation.items()):
        sent = [set(each["always"]) for each in seen if each["is_sent"]]
        always = set.intersection(*sent) if sent else set()
        ever = {name for each in seen for name in each["ever"]}
        reads = {
            name: Field(types=tuple(said["types"]), values=tuple(said["values"]))
            for each in seen
            for name, said in each["reads"].items()
        }
        found[operation] = Agreed(
            method=seen[0]["method"],
            path=seen[0]["path"],
            sends={name: "always" if name in always else "sometimes" for name in sorted(ever)},
            reads=reads,
        )
    return found


def _described(contract: Contract, documents: list[Document]) -> Contract:
    """Add what the system's own documents say: those that are called after it."""
    own = [each for each in documents if each.name.partition("-")[0] == contract.system]
    operations = dict(contract.operations)
    for name, agreed in contract.operations.items():
        for document in own:
            described = document.described(name, agreed)
            if described is not None:
                operations[name] = replace(agreed, document=document.name, described=described)
    return replace(contract, operations=operations)


if __name__ == "__main__":
    sys.exit(main())
