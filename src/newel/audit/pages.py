"""Pages that people print: what evidence says of one person, and what a package is.

Plain HTML without script, style sheet or picture from anywhere. Pure; the same rows, the same page.
"""

from __future__ import annotations

import html
from collections.abc import Collection, Iterator
from typing import Any, Final

from newel.audit.evidence import COLUMNS, Evidence, cell

__all__ = ["about", "page", "subjects"]

Json = Any  # Any: JSON

_TABLES: Final = ("population/runs", "access_grants", "approvals", "exceptions")
_STYLE: Final = (
    "body{font:11pt sans-serif;margin:2em}table{border-collapse:collapse;margin-bottom:2em}"
    "th,td{border:1px solid #999;padding:2px 6px;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}th{background:#eee}@page{size:A4 landscape;margin:1cm}"
)


def subjects(seen: Evidence, sampled: set[str] | None) -> list[str]:
    """Name the people who have a page: those of sampled rows, or all of the period."""
    found = {
        row["subject_ref"]
        for table in _TABLES
        for row in seen.rows[table]
        if row["subject_ref"] is not None and (sampled is None or row["row_id"] in sampled)
    }
    return sorted(found)


def about(seen: Evidence, wanted: Collection[str]) -> Iterator[Json]:
    """Give all rows of the period about each of these people, by table, in their order."""
    found: dict[str, dict[str, list[Json]]] = {
        subject: {table: [] for table in _TABLES} for subject in wanted
    }
    for table in _TABLES:
        for row in seen.rows[table]:
            tables = found.get(row["subject_ref"])
            if tables is not None:
                tables[table].append(row)
    period = {"from": seen.window.since, "to": seen.window.until}
    for subject, tables in found.items():
        told = {
            table: [{name: row.get(name) for name in COLUMNS[table]} for row in rows]
            for table, rows in tables.items()
        }
        yield {"subject_ref": subject, "period": period, "tables": told}


def page(document: Json) -> str:
    """Write what is said about one person as a page; empty columns are left out."""
    period = f"From {document['period']['from']} to before {document['period']['to']} (UTC)."
    parts = [f"<h1>{html.escape(document['subject_ref'])}</h1>\n<p>{period}</p>\n"]
    for table, rows in document["tables"].items():
        parts.append(f"<h2>{table}</h2>\n")
        columns = [name for name in COLUMNS[table] if any(row[name] is not None for row in rows)]
        if not rows:
            parts.append("<p>Nothing.</p>\n")
            continue
        parts.append("<table>\n<tr>" + "".join(f"<th>{name}</th>" for name in columns) + "</tr>\n")
        for row in rows:
            cells = "".join(f"<td>{html.escape(cell(row[name]))}</td>" for name in columns)
            parts.append(f"<tr>{cells}</tr>\n")
        parts.append("</table>\n")
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{html.escape(document['subject_ref'])}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{''.join(parts)}</body>\n</html>\n"
    )
