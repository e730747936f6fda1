"""Files that people attach to a form as evidence: checked, sealed, kept with the decision."""

from __future__ import annotations

import hashlib
from typing import Final
from uuid import UUID

from newel.base.errors import InvalidInput, LogInconsistent, NotFound
from newel.base.ids import reference
from newel.domain.values import MOST_BYTES, File
from newel.engine.operating import Command, Operating
from newel.store import files

__all__ = ["attach", "attached", "checked"]

_LONGEST_NAME: Final = 200


def checked(file: File) -> File:
    """Give a file with a name that is one; raises InvalidInput if it is empty or too large."""
    if not file.content:
        raise InvalidInput({"file": "is empty"})
    if len(file.content) > MOST_BYTES:
        raise InvalidInput({"file": f"has more than {MOST_BYTES // 1024 // 1024} MB"})
    last = file.name.replace("\\", "/").rpartition("/")[2]
    name = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    return File(name=name[-_LONGEST_NAME:] or "file", content=file.content)


async def attach(made: Command, task: UUID, file: File) -> str:
    """Seal a file and keep it, in the transaction of a command; gives the sealed one's digest."""
    content = made.sealer.seal(file.content)
    await files.keep(
        made.connection,
        task=task,
        run=made.run,
        name=made.sealer.seal(file.name.encode()),
        content=content,
        size=len(file.content),
        sha256=hashlib.sha256(file.content).hexdigest(),
        at=made.at,
    )
    return made.sealer.digest(content)


async def attached(operating: Operating, task: UUID) -> File:
    """The file that was attached to a task.

    Raises NotFound where there is none, where its time is over, or where the person whom it is
    about was erased.
    """
    missing = NotFound(kind="file of task", reference=reference("tsk", task))
    row = await files.read(operating.database, task)
    if row is None or row["content"] is None:
        raise missing
    sealer = operating.vault.sealer(row["run_id"], row["subject"], row["key_n"], row["wrapped"])
    try:
        return File(name=sealer.open(row["name"]).decode(), content=sealer.open(row["content"]))
    except LogInconsistent as error:
        raise missing from error
