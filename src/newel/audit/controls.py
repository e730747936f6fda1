"""Control tests and completeness: what the rows of a period say about the controls themselves.

Each test takes a population and names the rows that break its rule, and those that nothing in the
log decides. A failure is a result, not an error. Where the rule of that time did not ask for a
second person, the cases are counted and not judged. Pure.
Source: our own audit document §13.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple

from newel.audit.evidence import Evidence, moment

__all__ = ["TITLES", "UNWRITTEN", "Roster", "completeness", "control_tests", "warnings"]

Json = Any  # Any: JSON
Row = dict[str, Json]

TITLES: Final = {
    "CT01": ("every grant rests on an earlier authority for this person", "CC6.2 A.5.18"),
    "CT02": ("who approved neither asked nor is whom it is about", "CC6.1 A.5.3"),
    "CT03": ("every grant by policy rests on a definition that was in force", "CC6.3 A.5.15"),
    "CT04": ("leavers lost every access in time", "CC6.2 A.5.11 A.5.18"),
    "CT05": ("every grant and every end of access was read back within a day", "CC6.2"),
    "CT06": ("no account that nobody explains", "CC6.1"),
    "CT07": ("what was skipped or done by hand has a reason and a second person", "CC6.3"),
    "CT08": ("every definition was approved by another than its author", "CC8.1 A.8.32"),
    "CT09": ("access in an emergency ended in time and was reviewed", "CC6.1"),
    "CT10": ("roles of administrators and auditors were given by two", "CC6.1 A.5.3"),
    "CT11": ("access for a time ended in time", "CC6.3"),
    "CT12": ("every item of a review was decided", "CC6.2 A.5.18"),
    "CT13": ("a third failed round made one ticket within an hour", "CC7.3 CC7.4"),
    "CT14": ("the log was sealed, and copied elsewhere at least hourly", "CC7.2 A.8.15"),
}
"""What each test says, and which criteria it is usually asked for."""

UNWRITTEN: Final = {
    "CT06": "newel records no scans for unknown accounts",
    "CT10": "newel has no roles of its own",
    "CT12": "newel records no reviews",
}
"""Why tests have no cases whatever happens: this version of newel writes no such events."""

_GIVING: Final = {"grant", "modify", "adopt"}
_ENDING: Final = {"revoke"}
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_LATE: Final = "no read-back within 24 hours"
_NOBODY: Final = "nothing in the log decides it"


class Judged(NamedTuple):
    """What a test found of one row: `why` is empty where the rule holds."""

    row_id: str
    why: str = ""
    is_undecided: bool = False
    is_unasked: bool = False


def control_tests(seen: Evidence) -> list[Json]:
    """Give the results of all tests, by their numbers."""
    found: dict[str, Callable[[Evidence], Iterable[Judged]]] = {
        "CT01": _authority,
        "CT02": _four_eyes,
        "CT03": _policy,
        "CT04": _leavers,
        "CT05": _read_back,
        "CT07": _by_hand,
        "CT08": _definitions,
        "CT09": _emergencies,
        "CT11": _for_a_time,
        "CT13": _tickets,
        "CT14": _anchored,
    }
    return [_result(name, list(found[name](seen)) if name in found else []) for name in TITLES]


def _result(name: str, judged: list[Judged]) -> Json:
    title, refs = TITLES[name]
    open_ = [each for each in judged if each.is_undecided]
    result = {
        "id": name,
        "title": title,
        "refs": refs.split(),
        "population_n": len(judged),
        "tested_n": len(judged) - len(open_) - sum(each.is_unasked for each in judged),
        "not_asked_n": sum(each.is_unasked for each in judged),
        "failures": [
            {"row_id": each.row_id, "why": each.why}
            for each in judged
            if each.why and not each.is_undecided and not each.is_unasked
        ],
        "undecided": [{"row_id": each.row_id, "why": each.why} for each in open_],
    }
    return {**result, "verdict": _verdict(result)}


def _verdict(result: Row) -> str:
    """Say in a word what a test came to; one without cases has not passed."""
    if result["failures"]:
        return "failed"
    if result["undecided"]:
        return "undecided"
    if not result["population_n"]:
        return "not applicable" if result["id"] in UNWRITTEN else "no cases"
    return "passed" if result["tested_n"] else "not judged"


def _grants(seen: Evidence, actions: set[str]) -> list[Row]:
    return [row for row in seen.rows["access_grants"] if row["action"] in actions]


def _authority(seen: Evidence) -> Iterable[Judged]:
    for row in _grants(seen, _GIVING):
        kind = row["authority_kind"]
        if kind == "policy":
            yield Judged(row["row_id"], "" if row["policy_id"] else "no policy is named")
            continue
        decided = seen.decisions.get(row["approval_event"] or "")
        if decided is None and kind != "approval":
            yield Judged(row["row_id"], _NOBODY, is_undecided=True)
        elif decided is None:
            why = "there is no such decision before it"
            yield Judged(row["row_id"], why, is_undecided=not seen.is_whole)
        elif decided.leaf_index > row["leaf_index"]:
            yield Judged(row["row_id"], "it was decided later")
        elif decided.decision == "reject":
            yield Judged(row["row_id"], "it was refused")
        elif decided.subject != row["subject_ref"]:
            yield Judged(row["row_id"], "the decision is about somebody else")
        else:
            yield Judged(row["row_id"])


def _four_eyes(seen: Evidence) -> Iterable[Judged]:
    for row in seen.rows["approvals"]:
        if row["decision"] == "approve":
            why = "" if row["four_eyes_ok"] else "who approved asked for it, or is whom it is about"
            yield Judged(row["row_id"], why)


def _policy(seen: Evidence) -> Iterable[Judged]:
    for row in _grants(seen, _GIVING):
        if row["authority_kind"] != "policy":
            continue
        since = seen.registered.get((row["policy_id"], row["policy_sha256"]))
        if since is None or since > row["leaf_index"]:
            why = "no such definition was registered before it"
            yield Judged(row["row_id"], why, is_undecided=not seen.is_whole)
        else:
            yield Judged(row["row_id"])


def _leavers(seen: Evidence) -> Iterable[Judged]:
    for row in _grants(seen, _ENDING):
        if row["sla_met"] is not None:
            yield Judged(row["row_id"], "" if row["sla_met"] else "it ended too late")
    for run in seen.rows["population/leavers"]:
        if run["state"] == "completed":
            kept = [
                grant
                for grant, since in seen.held.get(run["subject_ref"] or "", {}).items()
                if since < run["completed_at"]
            ]
            yield Judged(run["row_id"], f"still holds {', '.join(sorted(kept))}" if kept else "")


def _read_back(seen: Evidence) -> Iterable[Judged]:
    until = moment(seen.window.until)
    for row in _grants(seen, _GIVING | _ENDING):
        wanted = "absent" if row["action"] == "revoke" else "present"
        at = moment(row["executed_at"])
        read_at = row.get("verified_at")
        if read_at is None:
            yield Judged(row["row_id"], _LATE, is_undecided=at + _DAY > until)
        elif moment(read_at) - at > _DAY:
            yield Judged(row["row_id"], _LATE)
        else:
            why = "" if row["result"] == wanted else f"it was read back as {row['result']}"
            yield Judged(row["row_id"], why)


def _by_hand(seen: Evidence) -> Iterable[Judged]:
    for row in seen.rows["exceptions"]:
        if not row["type"].startswith("step."):
            continue
        if row["reason_code"] is None:
            yield Judged(row["row_id"], "no reason was given")
        elif row["second_ref"] is not None:
            is_self = row["second_ref"] == row["actor_ref"]
            yield Judged(row["row_id"], "the second person is the first" if is_self else "")
        elif _is_strict(seen, row["occurred_at"]):
            yield Judged(row["row_id"], "there was no second person")
        else:
            yield Judged(row["row_id"], is_unasked=True)


def _is_strict(seen: Evidence, at: str) -> bool:
    """Whether a second person was asked for everywhere at a moment."""
    before = [is_strict for since, is_strict in seen.strict_since if since <= at]
    return before[-1] if before else False


def _definitions(seen: Evidence) -> Iterable[Judged]:
    for row in seen.rows["admin_actions"]:
        if row["type"] == "process.registered":
            yield Judged(row["row_id"], is_unasked=True)


def _emergencies(seen: Evidence) -> Iterable[Judged]:
    for row in _grants(seen, _GIVING):
        if row["authority_kind"] == "break_glass":
            ended, due = row.get("revoked_at"), row["expires_at"]
            if due is None or ended is None:
                is_open = due is not None and moment(due) > moment(seen.window.until)
                why = _NOBODY if due is None or is_open else "it has not ended"
                yield Judged(row["row_id"], why, is_undecided=due is None or is_open)
            else:
                is_late = moment(ended) > moment(due)
                yield Judged(row["row_id"], "it ended too late" if is_late else "")


def _for_a_time(seen: Evidence) -> Iterable[Judged]:
    for row in _grants(seen, _GIVING):
        if row["expires_at"] is None:
            continue
        due = moment(row["expires_at"]) + timedelta(hours=seen.window.sla_hours)
        ended = row.get("revoked_at")
        if ended is None:
            is_open = due > moment(seen.window.until)
            why = "its time is not over" if is_open else "it has not ended"
            yield Judged(row["row_id"], why, is_undecided=is_open)
        else:
            yield Judged(row["row_id"], "it ended too late" if moment(ended) > due else "")


_ROUNDS: Final = 3


def _tickets(seen: Evidence) -> Iterable[Judged]:
    for row in seen.rows["escalations"]:
        if row["tickets"] == 0 and row["rounds"] < _ROUNDS:
            continue
        if row["tickets"] != 1:
            yield Judged(row["row_id"], f"it has {row['tickets']} tickets")
        elif moment(row["ticketed_at"]) - moment(row["opened_at"]) > _HOUR:
            yield Judged(row["row_id"], "its ticket came later than an hour")
        else:
            yield Judged(row["row_id"])


def _anchored(seen: Evidence) -> Iterable[Judged]:
    for target, since, until in seen.anchor_failures:
        end = seen.window.until if until is None else until
        if end >= seen.window.since and moment(end) - moment(since) > _HOUR:
            yield Judged(target, f"took no copy from {since} to {until or 'the end'}")


# ------------------------------------------------------------------------------ completeness


class Roster(NamedTuple):
    """A line of an HR list: its number, whom newel knows by that id, the days of begin and end."""

    row: int
    subject_ref: str | None
    start_date: str
    end_date: str


def completeness(
    seen: Evidence, *, size: int, runs: int, grants: int, roster: list[Roster] | None
) -> Json:
    """Give the figures that say whether anything is missing.

    runs, grants: in the tables of the database, of those that began within the first `size` leaves.
    """
    silence = seen.silence
    return {
        "entries": size,
        "events_in_period": seen.events,
        "streams": len(seen.streams),
        "gaps": seen.gaps,
        "runs": {"log": seen.started, "table": runs},
        "grants": {"log": len(seen.granted), "table": grants} if seen.is_whole else None,
        "longest_silence": None
        if silence is None
        else dict(zip(("from", "to", "after", "before"), silence, strict=True)),
        "roster": None if roster is None else _compared(seen, roster),
    }


def _compared(seen: Evidence, roster: list[Roster]) -> Json:
    """Compare a list of HR with the beginnings and ends that the log tells of the period."""
    came = {row["subject_ref"] for row in seen.rows["population/joiners"]}
    left = {row["subject_ref"] for row in seen.rows["population/leavers"]}
    day, end = seen.window.since[:10], seen.window.until[:10]
    missing: list[Json] = []
    matched = 0
    for line in roster:
        for kind, date, known in (
            ("joiner", line.start_date, came),
            ("leaver", line.end_date, left),
        ):
            if day <= date < end:
                is_known = line.subject_ref is not None and line.subject_ref in known
                matched += is_known
                if not is_known:
                    missing.append({"row": line.row, "kind": kind})
    listed = {line.subject_ref for line in roster}
    return {
        "lines": [
            {"row": line.row, "subject_ref": line.subject_ref,
             "start_date": line.start_date, "end_date": line.end_date}
            for line in roster
        ],
        "matched": matched,
        "missing_in_newel": missing,
        "missing_in_roster": sorted(
            row["row_id"]
            for name in ("joiners", "leavers")
            for row in seen.rows[f"population/{name}"]
            if row["subject_ref"] not in listed
        ),
    }  # fmt: skip


def warnings(
    results: list[Json],
    figures: Json,
    *,
    is_whole: bool,
    forced: Sequence[tuple[str, int]] = (),
) -> list[str]:
    """Say what the first page has to say before anything else.

    forced: when events were pruned after less than a year, and after how many days.
    """
    said = []
    if not is_whole:
        said.append("The log was begun anew: what was before is not in this package.")
    said.extend(
        f"On {at[:10]} events older than {days} days were removed: somebody insisted on that."
        for at, days in forced
    )
    for each in results:
        for name, many in (
            ("failed", len(each["failures"])),
            ("undecided", len(each["undecided"])),
            ("not judged, because no second person was asked for", each["not_asked_n"]),
        ):
            if many:
                said.append(f"{each['id']}: {many} {name}.")
        if each["verdict"] == "not applicable":
            said.append(f"{each['id']}: not applicable, because {UNWRITTEN[each['id']]}.")
    said.extend(
        f"{name}: {figures[name]['log']} in the log, {figures[name]['table']} in the database."
        for name in ("runs", "grants")
        if figures[name] is not None and figures[name]["log"] != figures[name]["table"]
    )
    if figures["gaps"]:
        said.append(f"{figures['gaps']} gaps in streams.")
    return said
