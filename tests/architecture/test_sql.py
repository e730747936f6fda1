"""SQL: every block is named, explained, checked by the server, and writes only what it owns."""

import re
from pathlib import Path

import pytest

from newel.store.export import LEFT_OUT, TABLES
from tests.architecture.reading import SOURCE, Block, blocks, blocks_in, shown, without_comments

STORE = SOURCE / "store"
FILES = sorted(STORE.glob("*.sql"))
MIGRATIONS = sorted((STORE / "migrations").glob("*.sql"))
BLOCKS = [
    pytest.param(block, id=f"{path.stem}.{block.name}") for path in FILES for block in blocks(path)
]

# The write door, newel.commit_batch, lives in the migrations and writes run state for everybody.
# Beside it a table has the owners named here; more than one needs a reason on its line.
OWNERS = {
    "access_grant": {"ledger", "erasure"},  # erasing a person is one act across them
    "api_key": {"access"},
    "audit_anchor": {"audit_log"},
    "audit_checkpoint": {"audit_log"},
    "audit_head": {"audit_log"},
    "audit_leaf": {"audit_log"},
    "audit_stream": {"streams"},
    "audit_tile": {"audit_log"},
    "capability": {"capabilities"},
    "confirmation": {"confirmations"},
    "definition": {"registry"},
    "deployment": {"deployment"},
    "entitlement": {"registry"},
    "erasure": {"erasure"},
    "legal_hold": {"erasure"},
    "event": {"journal"},
    "event_batch": {
        "journal",
        "audit_log",
    },  # the trigger fills the queue, the sequencer empties it
    "event_default": {"journal"},
    "gate": {"gates"},
    "given_address": {"registry"},
    "inbox": {
        "webhooks",
        "messages",
        "erasure",
    },  # kept, taken, erased
    "hr_feed": {"hr"},
    "hr_record": {"hr", "erasure"},  # erasing a person is one act across them
    "incident": {"incidents"},
    "kept_token": {"kept_tokens"},
    "migration": {"migrate"},
    "occurrence": {"schedules"},
    "open_act": {"waits", "open_acts"},  # one or the other name for the same module
    "person": {"registry", "erasure"},  # erasing a person is one act across them
    "person_key": {"registry", "erasure"},  # erasing a person is one act across them
    "received_secret": {"received_secrets"},
    "removal": {"gates"},
    "room": {"rooms"},
    "run": {"runs", "workers"},  # a worker that is gone lets go of its runs where its lease ends
    "schedule": {"schedules"},
    "start_request": {"registry", "erasure"},  # erasing a person is one act across them
    "system": {"registry"},
    "system_calls": {"call_counts"},
    "task": {"tasks", "erasure"},  # erasing a person is one act across them
    "task_file": {"files"},
    "ticket": {"incidents"},
    "webhook_delivery": {"endpoints"},
    "webhook_endpoint": {"endpoints"},
    "webhook_received": {"webhooks", "erasure"},  # erasing a person is one act across them
    "webhook_refusal": {"webhooks"},
    "webhook_source": {"webhooks"},
    "worker": {"workers"},
}

_WRITES = re.compile(
    r"\b(?:insert\s+into|(?<!for )update|delete\s+from|merge\s+into|truncate)"
    r"\s+(?:only\s+)?newel\.(\w+)",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r"\$(\d+)")
_TABLES = re.compile(r"create\s+table\s+(?:if\s+not\s+exists\s+)?newel\.(\w+)", re.IGNORECASE)
_UNQUALIFIED = re.compile(
    r"\b(?:from|join|into|update)\s+(?!newel\.|only\s)([a-z_]\w*)", re.IGNORECASE
)


def written(sql: str) -> set[str]:
    """Return the tables that a statement inserts into, updates or deletes from."""
    return set(_WRITES.findall(without_comments(sql)))


def test_writes_are_found_in_every_form():
    """The search sees writes inside a CTE, and neither locks nor upserts nor comments."""
    sql = (
        "with gone as (delete from newel.run where id = $1 returning id)\n"
        "insert into newel.task (id) select id from newel.person for update of person\n"
        "on conflict (id) do update set id = 1 -- update newel.worker\n"
    )
    assert written(sql) == {"run", "task"}


def test_every_table_has_an_owner():
    """Each table that the migrations make is in the list of owners, and no other is."""
    made = {name for path in MIGRATIONS for name in _TABLES.findall(path.read_text("utf-8"))}
    assert made == set(OWNERS)


def test_every_table_is_exported():
    """What the migrations make, store/export.sql exports, or LEFT_OUT beside it says why not."""
    made = {name for path in MIGRATIONS for name in _TABLES.findall(path.read_text("utf-8"))}
    assert made == {*TABLES, *LEFT_OUT}
    assert not {*TABLES} & {*LEFT_OUT}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_owners_write_their_tables(path):
    """A `.sql` file writes the tables it owns; the write door writes through its function."""
    foreign = {name for name in written(path.read_text("utf-8")) if path.stem not in OWNERS[name]}
    assert foreign == set()


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_explained(block):
    """A block has a name, its parameters in order, a sentence, and one statement."""
    assert block.name.isidentifier()
    assert block.params, "-- params: is missing"
    assert re.match(r"[A-Z].*[.;]", block.sentence), "the sentence is missing"
    assert block.statement, "the statement is missing"
    names = [] if block.params == "none" else block.params.split(", ")
    used = {int(number) for number in _PARAMETER.findall(without_comments(block.statement))}
    assert used == set(range(1, len(names) + 1))


@pytest.mark.parametrize("block", BLOCKS)
def test_a_statement_says_what_it_reads(block):
    """No block selects `*`, relies on search_path, or keeps state in the session."""
    sql = without_comments(block.statement).lower()
    assert not re.search(r"select\s+(?:\w+\.)?\*", sql)
    own = set(re.findall(r"(?:with|,)\s+(?:recursive\s+)?(\w+)\s*(?:\([^)]*\))?\s+as\b", sql))
    functions = {"unnest", "jsonb_array_elements", "jsonb_each", "jsonb_to_recordset", "lateral"}
    keywords = {"set", "select", "of", "skip", "nowait", "excluded", "pg_catalog"}
    loose = set(_UNQUALIFIED.findall(sql)) - own - functions - keywords
    assert {
        name for name in loose if f"from {name})" not in sql and not _is_function(name, sql)
    } == set()
    assert not re.search(r"\b(?:set\s+(?!local)\w+\s*=.*;|pg_advisory_lock)", sql)


def _is_function(name: str, sql: str) -> bool:
    """Say whether a name after FROM is called: a set-returning function or EXTRACT's field."""
    return bool(re.search(rf"\b{name}\s*\(", sql)) or bool(
        re.search(rf"extract\(\w+ from {name}", sql)
    )


def test_blocks_are_read_as_written():
    """A block ends where the next begins; its sentence may take several lines."""
    text = (
        "-- An essay.\n\n-- name: first\n-- params: id\n-- Reads\n-- one.\nselect 1 where $1\n\n"
        "-- name: second\n-- params: none\n-- Reads two.\nselect 2\n"
    )
    first, second = blocks_in(Path("x.sql"), text)
    assert first == Block(
        file=Path("x.sql"),
        name="first",
        params="id",
        sentence="Reads one.",
        statement="select 1 where $1",
    )
    assert (second.name, second.params, second.statement) == ("second", "none", "select 2")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_every_statement_prepares(path, database):
    """The server accepts every block against the migrated schema, with its parameters."""
    for block in blocks(path):
        statement = await database.prepare(block.statement)
        names = [] if block.params == "none" else (block.params or "").split(", ")
        assert len(statement.get_parameters()) == len(names), f"{shown(path)}: {block.name}"


def test_sql_lives_in_files_only():
    """No statement of newel's tables stands in a Python string."""
    pattern = re.compile(r"\b(?:insert into|delete from|update|from|join) newel\.", re.IGNORECASE)
    found = [
        f"{shown(path)}:{number}"
        for path in sorted(SOURCE.rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        # A sentence may name newel.event; a string with a statement has a quote before its verb.
        if path != STORE / "migrate.py"  # its own bookkeeping, before any file is applied
        and pattern.search(line)
        and re.search(r"[\"'].*\b(?:select|insert|update|delete)\b", line, re.IGNORECASE)
    ]
    assert found == []
