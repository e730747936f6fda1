"""What newel ships for the tests of its users: simulators in the place of systems."""

from newel.testing.transport import SimulatorTransport as SimulatorTransport

__all__ = ["SimulatorTransport"]
