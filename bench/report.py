"""The bench's figures as a table and as a picture."""

from __future__ import annotations

from html import escape
from math import log10
from typing import Any, NamedTuple

Figures = dict[str, Any]  # Any: the values JSON can hold


class Row(NamedTuple):
    """A figure of the engine document's §12, and what it must reach."""

    says: str
    name: str
    goal: float | None = None
    at_most: bool = False
    unit: str = ""


ROWS = (
    Row("steps a second, newel : DBOS", "ratio_steps_dbos", 60, unit="x"),
    Row("steps a second, newel : Absurd", "ratio_steps_absurd", 15, unit="x"),
    Row("steps a second, newel : commits of pgbench -c 1", "ratio_steps_pgbench_c1", 3, unit="x"),
    Row("the same on the slow disk", "ratio_steps_pgbench_c1_slow_disk", 40, unit="x"),
    Row("idle onboarding, DBOS : newel", "ratio_idle_onboarding_dbos", 10, unit="x"),
    Row("idle onboarding, Absurd : newel", "ratio_idle_onboarding_absurd", 5, unit="x"),
    Row(
        "idle onboarding, newel : 4 commits of pgbench",
        "ratio_idle_onboarding_4_commits",
        3,
        at_most=True,
        unit="x",
    ),
    Row("commits of an idle onboarding", "idle_commits", 4, at_most=True),
    Row("commits a step, many runs in flight", "commits_per_step", 0.01, at_most=True),
    Row("Python CPU a step", "cpu_us_per_step", 45, at_most=True, unit=" µs"),
    Row("a million additions in Python, for comparison", "cpu_loop_ms", unit=" ms"),
    Row("write-ahead log a step", "wal_bytes_per_step", 2500, at_most=True, unit=" B"),
    Row(
        "what the audit log costs in throughput", "audit_costs_percent", 10, at_most=True, unit=" %"
    ),
    Row("two worker processes : one", "scaling_2_workers", 1.7, unit="x"),
    Row("four worker processes : one", "scaling_4_workers", unit="x"),
    Row(
        "onboarding against slow systems, active p95",
        "onboarding_active_p95_s",
        5,
        at_most=True,
        unit=" s",
    ),
    Row("CPU of such an onboarding, simulators included", "onboarding_cpu_ms", unit=" ms"),
    Row(
        "engine's own time: an idle onboarding", "idle_onboarding_ms", 20, at_most=True, unit=" ms"
    ),
    Row("`import newel`", "import_newel_s", 0.2, at_most=True, unit=" s"),
    Row("`newel --help`", "newel_help_s", 0.4, at_most=True, unit=" s"),
    Row("reading a process of 24 acts", "drawing_read_ms", 5, at_most=True, unit=" ms"),
    Row("its picture, laid out and written", "drawing_svg_ms", 5, at_most=True, unit=" ms"),
)
_ABSOLUTE = (
    ("steps a second", ("steps_per_s", "steps_per_s_dbos", "steps_per_s_absurd", "pgbench_c1_tps")),
    (
        "idle onboarding, ms",
        ("idle_onboarding_ms", "idle_onboarding_ms_dbos", "idle_onboarding_ms_absurd", None),
    ),
)


def table(found: Figures) -> str:
    """Write all figures with their goals as markdown."""
    lines = ["| figure | measured | goal | reached |", "|---|---|---|---|"]
    lines += [_line(found, row) for row in ROWS]
    lines += ["", "| | newel | DBOS | Absurd | pgbench, 1 client |", "|---|---|---|---|---|"]
    for suffix, disk in (("", "fast disk"), ("_slow_disk", "1 ms slower")):
        for says, names in _ABSOLUTE:
            cells = ["" if name is None else _cell(found, f"{name}{suffix}") for name in names]
            lines.append(f"| {says}, {disk} | {' | '.join(cells)} |")
    machine = found["machine"]
    where = f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}"
    lines += ["", f"Medians of {found['rounds']} rounds; {where}."]
    lines += [f"Absent: {name}, because {why}." for name, why in found["absent"].items()]
    return "\n".join(lines) + "\n"


def _line(found: Figures, row: Row) -> str:
    value = found.get(row.name)
    if row.goal is None or value is None:
        return f"| {row.says} | {_cell(found, row.name, row.unit)} | {_goal(row)} | |"
    is_reached = value <= row.goal if row.at_most else value >= row.goal
    verdict = "yes" if is_reached else "no"
    return f"| {row.says} | {_cell(found, row.name, row.unit)} | {_goal(row)} | {verdict} |"


def _goal(row: Row) -> str:
    return "" if row.goal is None else f"{'≤' if row.at_most else '≥'} {row.goal:g}{row.unit}"


def _cell(found: Figures, name: str, unit: str = "") -> str:
    value = found.get(name)
    return "not measured" if value is None else f"{value:,}{unit}"


_WIDTH, _BAR, _GAP, _LEFT = 720, 22, 8, 130
_PANELS = (
    ("Steps a second (longer is better)", _ABSOLUTE[0][1]),
    ("Idle onboarding of six steps, ms (shorter is better)", _ABSOLUTE[1][1]),
)
_NAMES = ("newel", "DBOS", "Absurd", "pgbench -c 1")


def plot(found: Figures) -> str:
    """Draw two panels of bars on a logarithmic scale, for both disks."""
    parts: list[str] = []
    y = 24.0
    for title, names in _PANELS:
        for suffix, disk in (("", "fast disk"), ("_slow_disk", "disk 1 ms slower")):
            parts.append(f'<text x="0" y="{y:.0f}" class="t">{escape(title)}, {disk}</text>')
            y += 12
            bars = [
                (label, float(value))
                for label, name in zip(_NAMES, names, strict=True)
                if name is not None and (value := found.get(f"{name}{suffix}"))
            ]
            longest = max((value for _, value in bars), default=1.0)
            for label, value in bars:
                parts.append(_bar(label, value, longest, y))
                y += _BAR + _GAP
            y += 26
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y:.0f}" '
        f'font-family="sans-serif" font-size="13">\n'
        "<style>.t{font-weight:bold}.b{fill:#7a869a}.n{fill:#1f6f5c}</style>\n"
    )
    return head + "\n".join(parts) + "\n</svg>\n"


def _bar(label: str, value: float, longest: float, y: float) -> str:
    room = _WIDTH - _LEFT - 90
    length = room * log10(1 + value) / log10(1 + longest)
    kind = "n" if label == "newel" else "b"
    middle = y + _BAR * 0.7
    return (
        f'<text x="0" y="{middle:.0f}">{escape(label)}</text>'
        f'<rect class="{kind}" x="{_LEFT}" y="{y:.0f}" width="{length:.0f}" height="{_BAR}"/>'
        f'<text x="{_LEFT + length + 6:.0f}" y="{middle:.0f}">{value:,.5g}</text>'
    )
