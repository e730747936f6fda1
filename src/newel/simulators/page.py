"""The page of one simulator: what is in it, what was last asked of it, and the switches for faults.

Server-rendered, one file, nothing loaded from elsewhere; a few lines of script fetch the changing
part every two seconds. Colours and sizes are those of the console's design guide.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape

from .faults import Fault
from .system import Panel, SimulatedSystem

LAST_CALLS = 25

# The switches the page offers: label, rule id, and the rule as the admin API takes it.
SWITCHES = (
    ("Down", "down", {"effect": "down"}),
    ("Slow", "slow", {"effect": {"kind": "latency", "p50_ms": 350, "p99_ms": 800}}),
    ("Throttled", "throttled", {"effect": {"kind": "throttle", "retry_after": 30}}),
    ("Lose next answer", "lose", {"effect": "lose_response", "times": 1}),
    ("Token revoked", "revoked", {"effect": "revoke_token"}),
    ("No seats", "seats", {"effect": {"kind": "seats", "left": 0}}),
)

STYLE = """
:root{--bg:#f7f6f3;--surface:#fff;--sunken:#f1efea;--line:#e4e1da;--ink:#1b1c1e;--ink-2:#55565b;
--ink-3:#6b6c72;--accent:#2a4fd0;--done:#0c7357;--done-t:#e2f3ec;--park:#b3261e;--park-t:#fce8e4;
--retry:#8a5300;--retry-t:#fdf0d5;color-scheme:light dark}
@media(prefers-color-scheme:dark){:root{--bg:#121315;--surface:#1a1b1e;--sunken:#151619;
--line:#2b2d32;--ink:#eeeeec;--ink-2:#b5b6ba;--ink-3:#94969c;--accent:#8ea6ff;--done:#5fd0a8;
--done-t:#16302a;--park:#ff9286;--park-t:#3d1f1c;--retry:#f0b95a;--retry-t:#352915}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:14px/20px Inter,system-ui,sans-serif;
font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:32px 24px 48px}
h1{margin:0;font-size:25px;line-height:32px;font-weight:640;letter-spacing:-.022em}
h2{margin:0;font-size:15px;font-weight:620;letter-spacing:-.01em}
p{margin:4px 0 0;color:var(--ink-2)}
.bar{display:flex;flex-wrap:wrap;gap:8px;margin:24px 0 8px}
button{height:34px;padding:0 14px;border:1px solid var(--line);border-radius:9px;cursor:pointer;
background:var(--surface);color:var(--ink);font:540 13.5px/18px inherit;font-family:inherit}
button:hover{background:var(--sunken)}
button:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
button[aria-pressed=true]{background:var(--park-t);color:var(--park);border-color:currentColor}
section{margin-top:16px;background:var(--surface);border:1px solid var(--line);border-radius:14px;
overflow:hidden}
header{display:flex;justify-content:space-between;gap:16px;padding:12px 16px}
header span{color:var(--ink-3)}
.scroll{overflow-x:auto}
table{width:100%;border-collapse:collapse}
th{padding:6px 16px;text-align:left;font-size:12.5px;font-weight:500;color:var(--ink-3);
background:var(--sunken);white-space:nowrap}
td{padding:8px 16px;border-top:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td:first-child{font-weight:570}
.chip{display:inline-block;padding:0 8px;border-radius:99px;font-size:12.5px;white-space:nowrap;
background:var(--sunken);color:var(--ink-2)}
.good{background:var(--done-t);color:var(--done)}
.bad{background:var(--park-t);color:var(--park)}
.soon{background:var(--retry-t);color:var(--retry)}
.none{padding:8px 16px 16px;color:var(--ink-3)}
"""

SCRIPT = """
const told = document.getElementById('live');
const send = (path, method, body) => fetch('/_sim/' + path, {method, body,
  headers: {'X-Sim-Page': '1', 'Content-Type': 'application/json'}});
async function refresh() {
  try {
    const answer = await fetch('/_sim/fragment');
    if (answer.ok && !told.contains(document.activeElement)) told.innerHTML = await answer.text();
  } catch (gone) { /* the simulator has stopped; the next round asks again */ }
}
document.addEventListener('click', async (event) => {
  const button = event.target.closest('button[data-fault]');
  if (!button) return;
  const on = button.getAttribute('aria-pressed') === 'true';
  const {fault, rule} = button.dataset;
  await send('faults/' + fault, on ? 'DELETE' : 'PUT', on ? null : rule);
  button.blur();
  await refresh();
});
setInterval(refresh, 2000);
"""


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
    title = escape(system.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{title} simulator</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main>"
        f'<div id="live" aria-live="off">{fragment(system)}</div>'
        f"</main><script>{SCRIPT}</script></body></html>"
    )


def fragment(system: SimulatedSystem) -> str:
    """Write the part of the page that changes."""
    faults = system.faults.rules()
    panels = "".join(_table(panel) for panel in system.panels())
    return (
        f"<h1>{escape(system.title)}</h1>"
        f"<p>A simulator of newel. Its clock reads {system.clock.now():%Y-%m-%d %H:%M:%S} UTC. "
        f"{_condition(faults)}</p>"
        f'<div class="bar" role="group" aria-label="Faults">{_switches(faults)}</div>'
        f"{panels}{_table(_calls(system))}"
    )


def _condition(faults: Sequence[Fault]) -> str:
    standing = [fault for fault in faults if not fault.exhausted]
    if not standing:
        return "No fault is in force."
    return "Faults in force: " + escape(", ".join(fault.id for fault in standing)) + "."


def _switches(faults: Sequence[Fault]) -> str:
    standing = {fault.id for fault in faults if not fault.exhausted}
    return "".join(
        f'<button type="button" data-fault="{identity}" data-rule="{escape(json.dumps(rule))}" '
        f'aria-pressed="{str(identity in standing).lower()}">{escape(label)}</button>'
        for label, identity, rule in SWITCHES
    )


def _calls(system: SimulatedSystem) -> Panel:
    return Panel(
        title="Last calls",
        columns=("#", "Operation", "Answer", "Did", "About", "Credential", "Fault"),
        rows=[
            (
                str(call.sequence),
                call.operation,
                str(call.status or "no answer"),
                call.did if call.committed else "",
                call.natural_key,
                call.credential,
                call.fault,
            )
            for call in reversed(system.calls()[-LAST_CALLS:])
        ],
    )


_GOOD = {"active", "created", "changed", "200", "201", "204", "Done"}
_BAD = {
    "no answer",
    "suspended",
    "deactivated",
    "inactive",
    "removed",
    "failed",
    "expired",
    "frozen",
}
_SOON = {"pending", "invited", "prepared", "To Do", "In Progress", "self_onboarding_invited"}


def _cell(text: str) -> str:
    is_error = len(text) == 3 and text.isdigit() and text[0] in "45"
    for words, look in ((_GOOD, "good"), (_BAD, "bad"), (_SOON, "soon")):
        if text in words:
            return f'<span class="chip {look}">{escape(text)}</span>'
    return f'<span class="chip bad">{text}</span>' if is_error else escape(text)


def _table(panel: Panel) -> str:
    head = f"<header><h2>{escape(panel.title)}</h2><span>{len(panel.rows)}</span></header>"
    if not panel.rows:
        return f'<section>{head}<div class="none">None yet.</div></section>'
    columns = "".join(f'<th scope="col">{escape(column)}</th>' for column in panel.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in panel.rows
    )
    return (
        f'<section>{head}<div class="scroll"><table><thead><tr>{columns}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )
