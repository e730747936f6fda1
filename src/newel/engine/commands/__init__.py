"""The operator's verbs: one function each, used by API, console and CLI alike.

Actor always; a reason where the course of the run changes. Every verb is one Change under the
run's row lock: whoever comes second is told so.
"""

from newel.engine.commands.amend import Amendment, amend, input_of
from newel.engine.commands.course import acknowledge, cancel, pause, reschedule, resume
from newel.engine.commands.deciding import Proposal, decide, expire, proposal_of
from newel.engine.commands.files import attached
from newel.engine.commands.fork import fork
from newel.engine.commands.steps import complete_by_hand, retry, skip
from newel.engine.commands.tasks import fill
from newel.engine.drifting import keep, why_drifted

__all__ = [
    "Amendment",
    "Proposal",
    "acknowledge",
    "amend",
    "attached",
    "cancel",
    "complete_by_hand",
    "decide",
    "expire",
    "fill",
    "fork",
    "input_of",
    "keep",
    "pause",
    "proposal_of",
    "reschedule",
    "resume",
    "retry",
    "skip",
    "why_drifted",
]
