"""The page of one simulator: what is in it, what was done in it, and what goes wrong.

Server-rendered, nothing loaded from elsewhere; a few lines of script fetch the changing parts every
two seconds, and show what has come since. On the right stands what a person can do: let things
fail, play the people of the simulated world, let time pass. Colours and sizes are those of the
console's design guide.
"""

from __future__ import annotations

import base64
import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from pathlib import Path

from .book import Call
from .faults import KINDS, Fault
from .system import Capacity, Panel, RowAct, SimulatedSystem

LAST_CALLS = 25
LAST_EFFECTS = 40

# The switches the page offers: label, rule id, and the rule as the admin API takes it.
SWITCHES = (
    ("Down", "down", {"effect": "down"}),
    ("Slow", "slow", {"effect": {"kind": "latency", "p50_ms": 350, "p99_ms": 800}}),
    ("Throttled", "throttled", {"effect": {"kind": "throttle", "retry_after": 30}}),
    ("Lose next answer", "lose", {"effect": "lose_response", "times": 1}),
    ("Token revoked", "revoked", {"effect": "revoke_token"}),
    ("Real limits", "quota", {"effect": "quota"}),
    ("No seats", "seats", {"effect": {"kind": "seats", "left": 0}}),
    ("No licences", "licences", {"effect": {"kind": "licences", "left": 0}}),
    ("Clock 10 min slow", "skew", {"effect": {"kind": "clock_skew", "seconds": -600}}),
)
# What one operation can be broken by without saying more.
SIMPLE = (
    "lose_response",
    "reset_before",
    "hang",
    "truncate",
    "status",
    "html_page",
    "redirect",
    "gone",
    "throttle",
    "expire_token",
)
LEAPS = (("1 hour", 3600), ("1 day", 86_400), ("1 week", 604_800))

STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_name("page.js").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


SECURITY = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_digest(STYLE)}'; "
        f"script-src 'sha256-{_digest(SCRIPT)}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(system: SimulatedSystem) -> str:
    """Write the whole page."""
    parts = {name: write(system) for name, write in PARTS.items()}
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(system.title)} simulator</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>"
        f'<div class="top" id="top">{parts["top"]}</div>'
        f'<div id="state">{parts["state"]}</div>'
        '<aside aria-label="What you can do">'
        f'<div class="card" id="faults">{parts["faults"]}</div>{_breaking(system)}'
        f"{_people(system)}{_leaps()}</aside>"
        '<p id="said" role="status"></p>'
        f"</main><script>{SCRIPT}</script></body></html>"
    )


def fragment(system: SimulatedSystem) -> str:
    """Write the parts of the page that change."""
    return "".join(
        f'<div data-part="{name}">{write(system)}</div>' for name, write in PARTS.items()
    )


# What is there --------------------------------------------------------------------------------


def _top(system: SimulatedSystem) -> str:
    return (
        f"<h1>{escape(system.title)} <span>simulator</span></h1>"
        f"<p>{_clock(system)} {_condition(system.faults.rules())}</p>"
    )


def _clock(system: SimulatedSystem) -> str:
    reading = system.clock.reading()
    ahead = timedelta(seconds=round(float(str(reading["offset_s"]))))
    told = f"Its clock reads {system.clock.now():%a %-d %b %Y, %H:%M} UTC"
    if reading["standing"]:
        return f"{told} and stands."
    if abs(ahead) < timedelta(minutes=1):
        return f"{told}."
    return f"{told}, {_span(abs(ahead))} {'ahead' if ahead > timedelta(0) else 'behind'}."


def _span(span: timedelta) -> str:
    """Say a length of time in its two largest units."""
    hours, rest = divmod(span.seconds, 3600)
    units = (("day", span.days), ("hour", hours), ("minute", rest // 60))
    said = [f"{count} {unit}{'s' * (count != 1)}" for unit, count in units if count]
    return " ".join(said[:2])


def _condition(faults: Sequence[Fault]) -> str:
    standing = [fault for fault in faults if not fault.exhausted]
    if not standing:
        return "No fault is in force."
    return "Faults in force: " + escape(", ".join(fault.id for fault in standing)) + "."


def _state(system: SimulatedSystem) -> str:
    panels = (*system.panels(), _effects(system), _calls(system))
    return _figures(system) + "".join(_table(panel) for panel in panels)


def _figures(system: SimulatedSystem) -> str:
    calls, effects = system.calls(), system.calls(committed=True)
    doubled = sum(system.book.doubled().values())
    accounts = len(system.accounts())
    shown = [_figure("accounts", str(accounts))] if accounts else []
    shown += [_figure("effects", str(len(effects))), _figure("calls", str(len(calls)))]
    if doubled:
        shown.append(_figure("made twice", str(doubled), look=" wrong"))
    shown += [_seats(each) for each in system.capacity()]
    return f'<div class="figures">{"".join(shown)}</div>'


def _figure(what: str, number: str, *, look: str = "", more: str = "") -> str:
    return f'<div class="figure{look}"><b>{number}</b><span>{escape(what)}</span>{more}</div>'


def _seats(room: Capacity) -> str:
    if room.most is None:
        return _figure(room.what, str(room.used))
    most, nearly, few = max(1, room.most), int(room.most * 0.9), int(room.most * 0.7)
    meter = (
        f'<meter min="0" max="{most}" optimum="0" low="{few}" high="{nearly}" '
        f'value="{room.used}" aria-label="{escape(room.what)}"></meter>'
    )
    return _figure(room.what, f"{room.used} <small>of {room.most}</small>", more=meter)


def _effects(system: SimulatedSystem) -> Panel:
    """What really came about: each effect with the key that its caller put into it."""
    doubled = system.book.doubled()
    return Panel(
        title="Effects",
        columns=("#", "Did", "What", "Key", "Operation", "When"),
        rows=[
            (
                str(call.sequence),
                _did(call, doubled),
                call.natural_key,
                call.effect_key,
                call.operation,
                call.time,
            )
            for call in reversed(system.calls(committed=True)[-LAST_EFFECTS:])
        ],
    )


def _did(call: Call, doubled: Mapping[str, int]) -> str:
    return "made twice" if call.did == "created" and call.natural_key in doubled else call.did


def _calls(system: SimulatedSystem) -> Panel:
    return Panel(
        title="Last calls",
        columns=("#", "Operation", "Answer", "Credential", "Fault", "When"),
        rows=[
            (
                str(call.sequence),
                call.operation,
                str(call.status or "no answer"),
                call.credential,
                call.fault,
                call.time,
            )
            for call in reversed(system.calls()[-LAST_CALLS:])
        ],
    )


_GOOD = {"active", "created", "changed", "200", "201", "202", "204", "Done"}
_BAD = {
    "no answer",
    "made twice",
    "suspended",
    "deactivated",
    "inactive",
    "removed",
    "failed",
    "expired",
    "frozen",
}
_SOON = {"pending", "invited", "prepared", "To Do", "In Progress", "self_onboarding_invited"}
_CODES = {"Operation", "Key", "Marker", "Metadata"}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


def _cell(text: str, column: str) -> str:
    is_error = len(text) == 3 and text.isdigit() and text[0] in "45"
    for words, look in ((_GOOD, "good"), (_BAD, "bad"), (_SOON, "soon")):
        if text in words:
            return f'<span class="chip {look}">{escape(text.replace("_", " "))}</span>'
    if is_error:
        return f'<span class="chip bad">{text}</span>'
    if _MOMENT.match(text):
        return f"<time>{_moment(text)}</time>"
    return f"<code>{escape(text)}</code>" if text and column in _CODES else escape(text)


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%-d %b %Y, %H:%M}"
    except ValueError:
        return escape(text)


def _table(panel: Panel) -> str:
    title = escape(panel.title)
    head = f"<header><h2>{title}</h2><span>{len(panel.rows) or 'none yet'}</span></header>"
    if not panel.rows:
        return f"<section>{head}</section>"
    has_acts = any(panel.acts)
    shown = [place for place, _ in enumerate(panel.columns) if any(r[place] for r in panel.rows)]
    columns = "".join(f'<th scope="col">{escape(panel.columns[place])}</th>' for place in shown)
    columns += '<th scope="col"><span hidden>Acts</span></th>' if has_acts else ""
    acts = panel.acts or [()] * len(panel.rows)
    rows = "".join(
        f"<tr>{_cells(panel.columns, row, shown)}{_acts(act) if has_acts else ''}</tr>"
        for row, act in zip(panel.rows, acts, strict=True)
    )
    return (
        f'<section>{head}<table data-title="{title}"><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></section>"
    )


def _cells(columns: Sequence[str], row: Sequence[str], shown: Sequence[int]) -> str:
    return "".join(
        f'<td data-head="{escape(columns[place])}">{_cell(row[place], columns[place])}</td>'
        for place in shown
    )


def _acts(acts: Iterable[RowAct]) -> str:
    buttons = "".join(
        f'<button type="button" class="small" data-act="{each.action}" '
        f'data-given="{escape(json.dumps(dict(each.given)))}">{escape(each.label)}</button>'
        for each in acts
    )
    return f'<td class="acts">{f"<div>{buttons}</div>" if buttons else ""}</td>'


# What goes wrong ------------------------------------------------------------------------------


def _faults(system: SimulatedSystem) -> str:
    faults = system.faults.rules()
    rules = "".join(_rule(fault) for fault in faults)
    listed = f'<ul class="rules">{rules}</ul>' if rules else ""
    return (
        "<h2>Let it fail</h2><p>Until you switch it off.</p>"
        f'<div class="switches">{_switches(faults)}</div>{listed}'
    )


def _switches(faults: Sequence[Fault]) -> str:
    standing = {fault.id for fault in faults if not fault.exhausted}
    return "".join(
        f'<button type="button" data-fault="{identity}" data-rule="{escape(json.dumps(rule))}" '
        f'aria-pressed="{str(identity in standing).lower()}">{escape(label)}</button>'
        for label, identity, rule in SWITCHES
    )


def _rule(fault: Fault) -> str:
    kind = str(fault.document()["effect"]["kind"]).replace("_", " ")
    where = "everything" if fault.match.operation == "*" else fault.match.operation
    of = f" of {fault.times}" if fault.times is not None else ""
    return (
        f"<li><span>{escape(kind)} on {escape(where)}"
        f"<small>{escape(fault.id)}, struck {fault.hits}{of}</small></span>"
        f'<button type="button" class="small" data-drop="{escape(fault.id)}">End</button></li>'
    )


def _breaking(system: SimulatedSystem) -> str:
    """Forms for what the switches do not offer: one operation, or a whole script of rules."""
    operations = sorted({route.operation for route in system.routes})
    places = "".join(f"<option>{escape(each)}</option>" for each in ("*", *operations))
    kinds = "".join(
        f'<option value="{each}">{each.replace("_", " ")}</option>'
        for each in SIMPLE
        if each in KINDS
    )
    return (
        '<div class="card"><h2>Break more</h2><p>One operation, or a script of rules.</p>'
        '<details><summary>One operation</summary><form id="break">'
        f'<label>Operation<select name="operation">{places}</select></label>'
        f'<label>What happens<select name="effect">{kinds}</select></label>'
        '<label>How often (empty: always)<input name="times" type="number" min="1" value="1">'
        "</label><button>Put into force</button></form></details>"
        '<details><summary>Script</summary><form id="scripted">'
        "<p>The rules as JSON, as the admin API gives and takes them; they replace all others.</p>"
        '<label>Rules<textarea id="script" spellcheck="false">[]</textarea></label>'
        '<div class="row"><button type="button" id="fetch">Read rules</button>'
        "<button>Put into force</button></div></form></details></div>"
    )


# What people do, and time ---------------------------------------------------------------------


def _people(system: SimulatedSystem) -> str:
    forms = "".join(_act_form(name, act) for name, act in system.actions().items())
    if not forms:
        return ""
    told = "What somebody does in the system itself."
    return f'<div class="card"><h2>People</h2><p>{told}</p>{forms}</div>'


def _act_form(name: str, act: Callable[..., object]) -> str:
    first = (inspect.getdoc(act) or "").partition("\n")[0]
    fields = "".join(_field(each) for each in inspect.signature(act).parameters.values())
    return (
        f"<details><summary>{escape(name.replace('_', ' ').capitalize())}</summary>"
        f'<form data-act="{name}"><p>{escape(first)}</p>{fields}'
        "<button>Do it</button></form></details>"
    )


def _field(parameter: inspect.Parameter) -> str:
    kind, name = str(parameter.annotation), escape(parameter.name)
    label = name.replace("_", " ").capitalize()
    if kind == "bool":
        return f'<label class="tick"><input type="checkbox" name="{name}">{label}</label>'
    is_needed = parameter.default is inspect.Parameter.empty
    kept = "" if is_needed or parameter.default is None else str(parameter.default)
    is_list = kind.startswith("list")
    return (
        f"<label>{label}{', by commas' * is_list}{' (optional)' * (not is_needed)}"
        f'<input name="{name}" type="{"number" if kind == "int" else "text"}" '
        f'data-kind="{"list" if is_list else "one"}" value="{escape("" if is_list else kept)}"'
        f"{' required' * is_needed}></label>"
    )


def _leaps() -> str:
    buttons = "".join(
        f'<button type="button" data-advance="{seconds}">+ {label}</button>'
        for label, seconds in LEAPS
    )
    return (
        '<div class="card"><h2>Time</h2><p>All simulators of this program share one clock: '
        "invitations and tokens run out by it.</p>"
        f'<div class="row">{buttons}</div></div>'
    )


PARTS: Mapping[str, Callable[[SimulatedSystem], str]] = {
    "top": _top,
    "state": _state,
    "faults": _faults,
}
