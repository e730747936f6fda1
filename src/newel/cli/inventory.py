"""`newel inventory`: systems, operations, permissions and owners, from declarations alone."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

from cyclopts import Parameter

from newel.cli.output import columns, say, say_json
from newel.cli.parameters import AsJson

if TYPE_CHECKING:
    from newel.connectors.inventory import Entry

__all__ = ["inventory"]

_HEADS: Final = (
    "SYSTEM",
    "OPERATION",
    "WAY",
    "NEEDS",
    "OWNER",
    "SLA",
    "ON FAILURE",
    "MAILS",
    "REVERSIBLE",
    "USED BY",
)
_ABLE: Final = ("SYSTEM", "CAPABILITY", "STATE", "CHECKED", "WHY")

_AsCsv = Annotated[
    bool, Parameter(name="--csv", negative=(), help="Print comma-separated values, all columns.")
]
_Egress = Annotated[
    bool, Parameter(negative=(), help="Print the hosts that can be reached instead.")
]
_Capabilities = Annotated[
    bool, Parameter(negative=(), help="Print what plans and tokens can do instead.")
]
_Check = Annotated[
    bool, Parameter(negative=(), help="With --capabilities: ask the systems now; reads only.")
]
_Used = Annotated[bool, Parameter(negative=(), help="Leave out what no process is seen to call.")]


def inventory(
    *,
    used: _Used = False,
    egress: _Egress = False,
    capabilities: _Capabilities = False,
    check: _Check = False,
    as_csv: _AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List what can be done in which system, with which permission; asks no system by itself.

    SLA is when an operation is done, or a person knows that it is not.
    """
    from newel.base.settings import load_settings
    from newel.cli.project import load_project
    from newel.connectors import inventory as declared

    settings = load_settings()
    project = load_project(settings)
    if egress:
        hosts = declared.reached(project.connectors, project.trackers, project.endpoints)
        if settings.database_url is not None:
            server = urlsplit(settings.database_url).netloc.rpartition("@")[2]
            hosts.append(declared.Reached(host=server, by="database"))
        for each in settings.anchors:
            kind, _, url = each.partition(":")
            if place := urlsplit(url.partition(" ")[0]).netloc.rpartition("@")[2]:
                hosts.append(declared.Reached(host=place, by=f"anchors ({kind})"))
        table = [(each.host, each.by) for each in hosts]
        return _print("hosts", ("HOST", "BY"), table, hosts, as_csv=as_csv, as_json=as_json)
    if capabilities:
        unasked = asyncio.run(declared.checked(project.connectors)) if check else {}
        able = declared.able(project.connectors, unasked)
        known = [(a.system, a.capability, a.state, a.checked_at or "-", a.why) for a in able]
        return _print("capabilities", _ABLE, known, able, as_csv=as_csv, as_json=as_json)
    found = declared.inventory(project.connectors, project.processes)
    found = [each for each in found if each.used_by or not used]
    rows = [_row(each) for each in found]
    return _print("operations", _HEADS, rows, found, as_csv=as_csv, as_json=as_json)


def _row(each: Entry) -> tuple[str, ...]:
    return (
        each.system,
        each.operation,
        each.goes,
        ", ".join(each.needs),
        each.owner,
        each.sla,
        each.on_failure,
        each.mails,
        each.reversible,
        ", ".join(each.used_by) or "-",
    )


def _print(
    name: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    found: Sequence[Any],  # Any: of one kind of dataclass
    *,
    as_csv: bool,
    as_json: bool,
) -> None:
    if as_json:
        return say_json({name: [asdict(each) for each in found]})
    if as_csv:
        return _print_csv(found)
    return say(columns(heads, rows) if rows else "No system is configured.")


def _print_csv(found: Sequence[Any]) -> None:  # Any: as above
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, each in enumerate(found):
        names = [field.name for field in fields(each)]
        if number == 0:
            writer.writerow(names)
        values = [getattr(each, name) for name in names]
        writer.writerow([", ".join(v) if isinstance(v, tuple) else v for v in values])
