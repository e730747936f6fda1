"""Recorded journals: exported from a deployment without personal data, replayed by tests.

    (folder / "onboarding-1.json").write_bytes(await exported(engine, run))

    def test_runs_in_flight_go_on_with_this_code() -> None:
        replays(onboarding, "journals/")

A journal says what a run has behind it and what is open of it. Replayed on the code at hand, it
must come to the same place without doing anything anew; else the test fails with the verdict that
the run itself would meet at a deploy.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal
from uuid import UUID

import orjson

from newel.audit.leaf import ProcessVersion
from newel.base.errors import DefinitionError, InvalidInput, NewelError, NotFound
from newel.base.ids import parse_reference, reference
from newel.domain.acts import OpenAct
from newel.domain.values import FINAL
from newel.engine import drifting, trial
from newel.engine.engine import Engine
from newel.engine.history import Recorded
from newel.engine.loading import loaded_from, with_former
from newel.engine.rehearsal import Nowhere
from newel.engine.runner import Compare, Loaded, Runner
from newel.engine.vault import Sealer, Vault
from newel.flow.act import Act
from newel.flow.process import Process
from newel.store import journal, runs
from newel.store.unfinished import unfinished
from newel.testing.pseudonyms import Pseudonyms, checked, words_of

__all__ = [
    "ReplaysOtherwise",
    "Verdict",
    "exported",
    "exported_open",
    "judged_from",
    "replayed",
    "replays",
]

Json = dict[str, Any]

_SECRET: Final = base64.b64encode(b"a recorded journal has no secret").decode()
_FACTS: Final = (
    "kind", "by", "decision", "verb", "keys", "run", "late", "input_fp", "key", "fp_before",
    "fp_after",
)  # fmt: skip
"""What a replay reads of a leaf."""


class ReplaysOtherwise(AssertionError):
    """A recorded journal does not come to the same place on this code."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a journal meets on this code. why: the keys that would run now, or the reason."""

    check: Literal["unchanged", "runs now", "blocked", "drifted"]
    why: str = ""

    def __str__(self) -> str:
        return f"{self.check}: {self.why}" if self.why else self.check


# --- exporting --------------------------------------------------------------------------------


async def exported(
    engine: Engine, run: UUID, *, kept: Collection[str] = (), hidden: Collection[str] = ()
) -> bytes:
    """Write a run's journal as JSON in which no text means a person.

    kept: names of fields whose texts stay, because the process decides by them. hidden: names of
    fields whose numbers and moments go, too. What else is replaced: see `pseudonyms`.
    Raises NotFound for a run of no process here, and DefinitionError for one that cannot be told
    without what was replaced, or that does not replay unchanged on the code at hand.
    """
    checked(kept, hidden)
    async with engine.database.transaction() as connection:
        rows = await runs.load(connection, [run])
        past = await journal.outcomes(connection, [run])
        acts = await journal.open_acts(connection, [run])
    process = engine.processes.get(rows[0]["process"]) if rows else None
    if process is None:
        raise NotFound(kind="run of a process of this code", reference=reference("run", run))
    row = rows[0]
    sealer = engine.vault.sealer(run, row["subject"], row["key_n"], row["wrapped"])
    names = Pseudonyms(words_of(process), kept=kept, hidden=hidden)
    document = _written(row, past, acts, sealer, names)
    _sign_anew(document, process)
    if (verdict := replayed(document, process)).check != "unchanged":
        raise DefinitionError(
            f"{reference('run', run)} does not replay without what was replaced: {verdict}",
            fix="name the fields that the process decides by in `kept`.",
        )
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


async def exported_open(
    engine: Engine, *, kept: Collection[str] = (), hidden: Collection[str] = ()
) -> AsyncIterator[Json]:
    """Give the journals of all of the company's runs that are not over, as plain data.

    A run that cannot be told without what was replaced says so instead (`left_out`): whoever judges
    new code by a file of them must know of it. Arguments: as those of `exported`.
    """
    checked(kept, hidden)
    own = (name for name in with_former(engine.processes) if not name.startswith("newel."))
    async for rows in unfinished(engine.database, sorted(own)):
        for row in rows:
            try:
                text = await exported(engine, row["id"], kept=kept, hidden=hidden)
            except (DefinitionError, NotFound) as error:
                run, process = reference("run", row["id"]), row["process"]
                yield {"run": run, "process": process, "left_out": str(error)}
            else:
                yield orjson.loads(text)


def _written(
    row: Any, past: Sequence[Any], acts: Sequence[Any], sealer: Sealer, names: Pseudonyms
) -> Json:  # Any: records
    events = [_event(each, sealer, names) for each in past]
    for event in events:  # last: by now all texts of values are known
        event["key"] = names.key(event["key"])
        for name in ("key", "keys"):
            if (given := event["leaf"]["data"].get(name)) is not None:
                event["leaf"]["data"][name] = (
                    names.key(given) if name == "key" else [names.key(each) for each in given]
                )
    person = None if row["subject"] is None else names.text(reference("per", row["subject"]))
    return {
        "process": row["process"],
        "version": row["version"],
        "sha256": row["sha256"],
        "run": reference("run", row["id"]),
        "subject": person,
        "cancelling": row["cancelling"],
        "has_ended": row["state"] in FINAL,
        "as_of": row["as_of"].isoformat(),
        "started_at": row["started_at"].isoformat(),
        "seen": row["seen"] or 0,
        "events": events,
        "open": [_open(each, names) for each in acts],
    }


def _event(event: Any, sealer: Sealer, names: Pseudonyms) -> Json:  # Any: a record
    leaf: Json = orjson.loads(event["entry"])
    payload = None
    if event["payload"] is not None:
        payload = orjson.loads(sealer.open(event["payload"]))
        if isinstance(payload, dict) and "secret" in payload:
            payload["arguments"], payload["secret"] = names.value(payload["arguments"]), _SECRET
        else:
            payload = names.value(payload)
    actor = {name: names.text(text) for name, text in leaf["actor"].items() if name != "via"}
    data = {name: each for name, each in leaf.get("data", {}).items() if name in _FACTS}
    kept: Json = {"id": leaf["id"], "actor": actor, "data": data}
    if "attempt" in leaf.get("step", {}):
        kept["step"] = {"attempt": leaf["step"]["attempt"]}
    return {
        "seq": event["seq"],
        "type": event["type"],
        "key": event["key"],
        "at": event["occurred_at"].isoformat(),
        "leaf": kept,
        "payload": payload,
    }


def _open(act: Any, names: Pseudonyms) -> Json:  # Any: a record
    asked = (act["detail"] or {}).get("asked")
    return {
        "key": names.key(act["key"]),
        "kind": act["kind"],
        "state": act["state"],
        "opened_at": act["opened_at"].isoformat(),
        "due_at": None if act["due_at"] is None else act["due_at"].isoformat(),
        "attempt": act["attempt"],
        "event": act["event"],
        "match": None if act["match"] is None else names.text(act["match"]),
        "detail": None if asked is None else {"asked": names.value(asked)},
    }


def _sign_anew(document: Json, process: Process[..., Any]) -> None:  # Any: its own result
    """Write the fingerprints that inputs have now that their texts are others."""
    inputs: dict[str, tuple[str, bytes]] = {}

    def adopted(run: Runner, key: str, act: Act[Any], _: Recorded) -> bool:  # Any: as above
        if (text := drifting.input_of(act)) is not None:
            inputs[key] = run.digest(text).hex(), text
        return False

    _driven(document, process, adopted)
    for event in document["events"]:
        found = inputs.get(event["key"])
        if found is not None and "input_fp" in event["leaf"]["data"]:
            event["leaf"]["data"]["input_fp"] = found[0]
            if event["type"] in {"step.started", "wait.opened"}:
                event["payload"] = orjson.loads(found[1])


# --- replaying --------------------------------------------------------------------------------


def replays(process: Process[..., Any], folder: str | Path) -> None:  # Any: its own result
    """Replay every journal of a process in a folder; each must come to the same place.

    Raises ReplaysOtherwise with the verdict of each that does not, and if there is none at all.
    """
    names = {process.name, *process.formerly}
    verdicts: dict[str, Verdict] = {}
    for path in sorted(Path(folder).glob("*.json")):
        document = orjson.loads(path.read_bytes())
        if document["process"] in names:
            verdicts[path.name] = replayed(document, process)
    if not verdicts:
        raise ReplaysOtherwise(f"no journal of {process.name} lies in {folder}")
    found = [f"{name}: {each}" for name, each in verdicts.items() if each.check != "unchanged"]
    if found:
        raise ReplaysOtherwise("\n".join(found))


def judged_from(
    path: Path,
    processes: Sequence[Process[..., Any]],  # Any: each has its own result
) -> list[trial.Verdict]:
    """Judge the journals of a file, or of the files of a folder, on these processes.

    Those of other processes are left out. Raises InvalidInput for what is no file of journals.
    """
    files = sorted(path.glob("*.json*")) if path.is_dir() else [path]
    known = with_former({each.name: each for each in processes})
    documents = [each for file in files for each in _documents(file)]
    found: list[trial.Verdict] = []
    for document in documents:
        process = known.get(document["process"])
        if process is not None:
            found.append(_judged(document, process))
    return found


def _documents(file: Path) -> list[Json]:
    """One journal, or one on each line."""
    text = file.read_bytes()
    found: list[Any]  # Any: JSON, judged below
    try:
        found = [orjson.loads(text)]
    except orjson.JSONDecodeError:
        try:
            found = [orjson.loads(line) for line in text.splitlines() if line.strip()]
        except orjson.JSONDecodeError:
            found = [None]
    if not all(isinstance(each, dict) and {"run", "process"} <= each.keys() for each in found):
        raise InvalidInput({str(file): "holds no journals of `newel export`"})
    return found


def _judged(document: Json, process: Process[..., Any]) -> trial.Verdict:  # Any: as above
    if "left_out" in document:
        return trial.Verdict(
            run=document["run"],
            process=document["process"],
            person=None,
            word="blocked",
            why=f"Its journal is not in the file, so it cannot be judged. {document['left_out']}",
        )
    try:
        loaded = _loaded(document, process)
    except NewelError as error:
        return trial.Verdict(
            run=document["run"],
            process=document["process"],
            person=document["subject"],
            word="blocked",
            why=str(error),
        )
    return trial.judged(loaded, _row(document, loaded.id))


def replayed(document: Json, process: Process[..., Any]) -> Verdict:  # Any: as above
    """Say what a recorded journal meets on this code."""
    runner, new = _driven(document, process, drifting.has_drifted)
    if runner.drifted:
        return Verdict("drifted", "; ".join(runner.drifted.values()))
    if runner.blocked is not None:
        return Verdict("blocked", runner.blocked[1])
    if not (runner.history.outcomes or runner.open):
        return Verdict("unchanged")  # it has not begun: whatever it does is new on any code
    if new or (document["has_ended"] and not runner.has_ended):
        return Verdict("runs now", ", ".join(f"`{key}`" for key in new))
    return Verdict("unchanged")


def _driven(
    document: Json, process: Process[..., Any], has_drifted: Compare
) -> tuple[Runner, list[str]]:  # Any: as above
    """Replay a journal; answers also with the acts that it comes to and knows nothing of."""
    loaded = _loaded(document, process)
    known = {*loaded.history.outcomes, *loaded.open_acts}
    new: list[str] = []

    def arrived(_: Runner, key: str, act: Act[Any]) -> None:  # Any: as above
        del act
        if key not in known:
            new.append(key)

    runner = Runner(loaded, Nowhere(loaded.as_of), arrived, has_drifted)
    try:
        runner.begin()
    finally:
        runner.dismiss()
    return runner, new


def _loaded(document: Json, process: Process[..., Any]) -> Loaded:  # Any: as above
    run = parse_reference(document["run"])[1]
    sealer = Sealer(None, run)
    current = ProcessVersion(
        name=process.name,
        version=document["version"] + 1,  # judged as other code is, even where it is the same
        definition_sha256=process.definition_sha256,
    )
    return loaded_from(
        _row(document, run),
        [_record(each, run, sealer.seal) for each in document["events"]],
        {each["key"]: _act(each) for each in document["open"]},
        process,
        Vault(bytes(32)),
        current=current,
    )


def _row(document: Json, run: UUID) -> Any:  # Any: what a record would be
    person = document["subject"]
    return {
        **{name: document[name] for name in ("process", "version", "sha256", "cancelling", "seen")},
        "id": run,
        "subject": None if person is None else parse_reference(person)[1],
        "state": "running",
        "seq": document["events"][-1]["seq"],
        "last_at": _moment(document["events"][-1]["at"]),
        "as_of": _moment(document["as_of"]),
        "started_at": _moment(document["started_at"]),
        "head": b"",
        "is_overdue": False,
        "readings": 0,
        **dict.fromkeys(("key_n", "wrapped", "paused_at", "limit_at", "parent_run")),
    }


def _record(event: Json, run: UUID, seal: Callable[[bytes], bytes]) -> Any:  # Any: as above
    payload = event["payload"]
    return {
        "stream_id": run,
        "seq": event["seq"],
        "type": event["type"],
        "key": event["key"],
        "occurred_at": _moment(event["at"]),
        "entry": orjson.dumps(event["leaf"]),
        "payload": None if payload is None else seal(orjson.dumps(payload)),
    }


def _act(act: Json) -> OpenAct:
    row = dict.fromkeys(OpenAct.__slots__)
    moments = {name: _moment(act[name]) for name in ("opened_at", "due_at")}
    return OpenAct.of({**row, **act, **moments})


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
