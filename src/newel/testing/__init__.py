"""What newel ships for the tests of its users: runs in memory, time they own, simulators.

`running` is the way in; its module tells how the rest is used with it.
"""

from newel.testing.attempts import Time as Time
from newel.testing.attempts import attempt as attempt
from newel.testing.attempts import effect_of as effect_of
from newel.testing.attempts import raised as raised
from newel.testing.boundaries import Crash as Crash
from newel.testing.contract import Contract as Contract
from newel.testing.contract import contract_with as contract_with
from newel.testing.contract import routes_agree as routes_agree
from newel.testing.crashing import crash_everywhere as crash_everywhere
from newel.testing.crashing import crashes as crashes
from newel.testing.crashing import every_crash as every_crash
from newel.testing.journals import ReplaysOtherwise as ReplaysOtherwise
from newel.testing.journals import exported as exported
from newel.testing.journals import replays as replays
from newel.testing.orders import Order as Order
from newel.testing.orders import interleavings as interleavings
from newel.testing.running import EndedOtherwise as EndedOtherwise
from newel.testing.running import Run as Run
from newel.testing.running import StillWaits as StillWaits
from newel.testing.running import running as running
from newel.testing.saas import Saas as Saas
from newel.testing.saas import Scripted as Scripted
from newel.testing.seeing import Failed as Failed
from newel.testing.seeing import Parked as Parked
from newel.testing.specification import Specification as Specification
from newel.testing.transport import SimulatorTransport as SimulatorTransport

__all__ = [
    "Contract",
    "Crash",
    "EndedOtherwise",
    "Failed",
    "Order",
    "Parked",
    "ReplaysOtherwise",
    "Run",
    "Saas",
    "Scripted",
    "SimulatorTransport",
    "Specification",
    "StillWaits",
    "Time",
    "attempt",
    "contract_with",
    "crash_everywhere",
    "crashes",
    "effect_of",
    "every_crash",
    "exported",
    "interleavings",
    "raised",
    "replays",
    "routes_agree",
    "running",
]
