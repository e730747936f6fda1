"""Evidence is made twice: by newel, and by the verifier, which shares no line with it.

Whatever a log tells, both make the same rows, find the same in control tests and count the same.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from newel.audit import controls, pages
from newel.audit.canonical import leaf_bytes
from newel.audit.controls import Roster
from newel.audit.evidence import COLUMNS, Evidence, Placed, Window
from newel.engine.ocel_document import OcelDocument
from newel.engine.verifying import verifier
from tests.verifier.building import hash_of, reference

SINCE, UNTIL = "2026-02-01T00:00:00.000000Z", "2026-04-01T00:00:00.000000Z"
BEGIN = datetime(2026, 1, 20, tzinfo=UTC)


class Log:
    """A log that somebody invents: entries in order, of all the types that evidence is made of."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.leaves: list[dict[str, Any]] = []
        self.seqs: dict[str, int] = {}
        self.at = BEGIN
        self.process = {"name": "onboarding", "version": 1, "definition_sha256": "9b" * 32}

    def add(self, stream, kind, data, **more):
        """Add the next entry of a stream, some hours later."""
        self.at += timedelta(seconds=self.chance.choice((0, 1, 40, 4000, 90_000)))
        self.seqs[stream] = self.seqs.get(stream, 0) + 1
        leaf = {
            "id": f"01990a3c-5b1e-7c40-8f2a-{len(self.leaves):012x}",
            "stream": stream,
            "seq": self.seqs[stream],
            "type": kind,
            "occurred_at": self.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "actor": self.chance.choice(
                (
                    {"type": "system", "id": "newel"},
                    {"type": "key", "id": "key_1", "on_behalf_of": self.person()},
                    {"type": "person", "id": self.person()},
                )
            ),
            "subject": None,
            "system": None,
            "data": data,
            **more,
        }
        self.leaves.append(leaf)
        return leaf

    def person(self):
        """One of a few people, so that they meet."""
        return reference("per", self.chance.randrange(6))

    def maybe(self, **members):
        """Some of these members, as an entry that may leave them out."""
        return {name: value for name, value in members.items() if self.chance.random() < 0.6}

    def moment(self, hours):
        """A moment some hours from now."""
        return (self.at + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def administration(self):
        """Definitions, settings, keys, copies elsewhere, samples."""
        pick = self.chance.choice
        kind, data, more = pick(
            (
                (
                    "process.registered",
                    {"source_sha256": "9b" * 32, "author": "code", **self.maybe(previous=1)},
                    {"process": self.process},
                ),
                ("setting.changed", {"name": pick(("second_person", "else"))}, {}),
                (
                    "setting.changed",
                    {"name": "second_person", "after": pick(("strict", "asked"))},
                    {},
                ),
                ("admin.key_created", {"key": pick(("k1", "k2")), "scopes": ["a", "=b"]}, {}),
                ("admin.key_revoked", {"key": pick(("k1", "k2"))}, {}),
                ("log.anchor_failing", {"target": pick(("x", "y")), "misses": 3}, {}),
                ("log.anchor_recovered", {"target": pick(("x", "y"))}, {}),
                ("log.pruned", {"min_index": 256, "days": 300, **self.maybe(forced=True)}, {}),
                ("log.retention_changed", {"after": 300, **self.maybe(before=400)}, {}),
                ("admin.ordered", {"verb": "prune", "about": "=300 days", "expires_at": UNTIL}, {}),
                ("data.exported", {"kind": "events", "rows": 1, "filter_digest": "00" * 32}, {}),
                ("connector.configured", {"fields": [], "secret_schemes": []}, {"system": "wiki"}),
                ("service.started", {"version": "1", "role": "all"}, {}),
            )
        )
        self.add("service/1" if kind.startswith("service") else "admin", kind, data, **more)

    def incident(self, number, run):
        """An incident, its tickets and its end, as far as it comes."""
        name, chance = {"incident": reference("inc", number)}, self.chance
        stream = "system/wiki"
        self.add(stream, "incident.opened", {**name, "class": "transient", "first_run": run})
        parked = {**name, "class": "transient", "owner": "it", "rounds": chance.randrange(1, 5)}
        self.add(f"run/{run}", "step.parked", parked, step={"key": "give"})
        for n in range(chance.randrange(3)):
            ticket = {"ticket": f"=T{n}", "tracker": "jira", "channel": "first"}
            ticket["marker"] = 'the "fox" \\ 🦊 \x01\n\u2028'
            self.add(stream, "incident.ticketed", {**name, **ticket})
        if chance.random() < 0.5:
            self.add(stream, "incident.closed", {**name, "runs": 2, "healed_by": "probe"})

    def run(self, number):
        """A run: who asked, what was decided, given, read back, taken, skipped, and its end."""
        chance, run = self.chance, reference("run", number)
        stream, subject = f"run/{run}", chance.choice((None, *[self.person()] * 9))
        more = {"subject": subject, "process": self.process}
        kind = chance.choice((None, "joiner", "mover", "leaver", "leaver", "request", "review"))
        said = {"source": {"type": "api"}, "requested_by": self.person()}
        about = {"department": "R&D <b>", "manager": self.person()}
        said |= {"input_digest": "00" * 32, "confidential": False, **self.maybe(attributes=about)}
        self.add(stream, "run.started", said | ({"kind": kind} if kind else {}), **more)
        decided = None
        if chance.random() < 0.7:
            task = {"task": reference("tsk", number)}
            self.add(stream, "task.opened", {**task, **self.maybe(due_at=self.moment(5))}, **more)
            decided = self.add(
                stream,
                "task.decided",
                {
                    **task,
                    "decision": chance.choice(("approve", "approve", "approve", "reject")),
                    "answer_digest": "00" * 32,
                    "channel": "console",
                    "auth": {"methods": ["password", "totp"], "age_s": 5},
                    "excluded": [self.person()],
                },
                **more | {"subject": chance.choice((subject, subject, self.person()))},
            )
        if chance.random() < 0.2:
            self.incident(number, run)
        for n in range(chance.randrange(3)):
            self.access(stream, number * 10 + n, decided, more)
        for hand in ("step.skipped", "step.completed_by_hand"):
            if chance.random() < 0.2:
                facts = self.maybe(second=self.person(), grants=[reference("grt", 5)])
                why = self.maybe(reason={"code": "other"})
                self.add(stream, hand, facts, step={"key": "give"}, **more, **why)
        if chance.random() < 0.7:
            self.add(stream, "run.completed", {}, run_state="completed", **more)

    def access(self, stream, number, decided, more):
        """Access: given, changed, read back and taken, rightly or not."""
        chance, grant = self.chance, reference("grt", number)
        more = {**more, "system": chance.choice(("wiki", "git", None))}
        step = {"key": "give", "attempt": 2, "round": 1}
        policy = {"kind": "policy", "policy_id": "onboarding", "policy_sha256": "9b" * 32}
        authority = chance.choice(
            (
                policy,
                {**policy, "policy_sha256": "00" * 32},
                {**policy, "policy_id": ""},
                {"kind": "break_glass", "event": "nothing", "leaf_hash": "00" * 32},
                {"kind": "approval", "event": "nothing", "approver": self.person()},
                *[
                    {
                        "kind": "approval",
                        "event": (decided or {}).get("id"),
                        "approver": self.person(),
                    }
                ]
                * 4,
            )
        )
        for kind, state in (
            ("access.granted", "active"),
            ("access.modified", "active"),
            ("access.pending", "prepared"),
            ("access.adopted", "active"),
            ("access.verified", "active"),
            ("access.revoked", "revoked"),
            ("access.verified", "revoked"),
            ("access.excepted", "active"),
        ):
            if chance.random() < 0.5:
                continue
            facts: dict[str, Any] = {"grant": grant, "state": state, "authority": authority}
            facts |= {"account_ref": "acc", "entitlement": "@wiki", **self.maybe(level="+5")}
            facts |= self.maybe(expires_at=self.moment(chance.choice((-5, 30, 9000))))
            facts |= {"late_us": chance.choice((0, 90_000_000_000)), "due_at": self.moment(-1)}
            facts |= self.maybe(http={"status": 200, "request_id": "r"})
            facts |= {"from": reference("grt", number - 1)} if kind == "access.modified" else {}
            facts |= {"result": chance.choice(("present", "absent"))}
            self.add(stream, kind, facts, step=step, **more)


@pytest.mark.parametrize("is_whole", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_both_make_the_same_of_any_log(seed, is_whole):
    """Rows, control tests, figures, first page, pages and what miners read are equal, all bytes."""
    log = Log(seed)
    for number in range(60):
        log.run(number)
        log.administration()
    its = verifier()
    seen = Evidence(Window(SINCE, UNTIL, 24), is_whole=is_whole)
    manifest = {"period": {"from": SINCE, "to": UNTIL}, "parameters": {"sla_hours": 24}}
    other = its.Derived(manifest)
    other.is_whole = is_whole
    for index, leaf in enumerate(log.leaves):
        entry = leaf_bytes(leaf)
        seen.take(Placed(json.loads(entry), index, hash_of(entry).hex()))
        other.take(json.loads(entry), index, hash_of(entry), entry)
    seen.finish()
    other.finish()
    made = {
        table: [{n: row.get(n) for n in COLUMNS[table]} for row in rows]
        for table, rows in seen.rows.items()
    }
    assert made == {table: [row.as_dict() for row in rows] for table, rows in other.tables.items()}
    assert {table: list(columns) for table, columns in COLUMNS.items()} == its._TABLES
    results = controls.control_tests(seen)
    assert results == its.control_tests(other)
    if is_whole:
        tested = {each["id"] for each in results if each["failures"]}
        assert len(tested) > 5, "a log that breaks rules breaks some of them"
    roster = [
        Roster(1, log.person(), "2026-02-03", "2026-03-01"),
        Roster(2, None, "2026-02-05", ""),
    ]
    figures = controls.completeness(seen, size=9, runs=60, grants=1, roster=roster)
    assert figures == its.completeness(other, figures, 9)
    said = controls.warnings(results, figures, is_whole=is_whole, forced=seen.forced)
    assert said == its.first_page(results, figures, other)
    with closing(OcelDocument()) as document:
        inside = (leaf for leaf in log.leaves if SINCE <= leaf["occurred_at"] < UNTIL)
        mined = b"".join((*map(document.event, inside), *document.rest()))
    assert other.mined.digest() == hashlib.sha256(mined).hexdigest()
    for about in pages.about(seen, pages.subjects(seen, None)):
        assert [pages.page(about).encode()] == its.as_page(about)


def test_each_rule_is_broken_by_some_log():
    """No control test is always green: invented logs break every rule that entries can tell of."""
    broken: set[str] = set()
    for seed in range(12):
        log = Log(seed)
        for number in range(60):
            log.run(number)
            log.administration()
        seen = Evidence(Window(SINCE, UNTIL, 24))
        for index, leaf in enumerate(log.leaves):
            seen.take(Placed(leaf, index, "00"))
        seen.finish()
        broken |= {each["id"] for each in controls.control_tests(seen) if each["failures"]}
    never = {"CT06", "CT08", "CT10", "CT12"}
    assert broken == set(controls.TITLES) - never
