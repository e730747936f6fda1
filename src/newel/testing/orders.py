"""Orders in which branches are resumed: seeds for the arrival of answers and of commits.

    for order in interleavings(200):
        async with running(request, order=order) as run: ...

As a decorator, `interleavings(200)` runs a test with each `order` in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from newel.testing.repeating import Test, passes

__all__ = ["Interleavings", "Order", "interleavings"]


@dataclass(frozen=True, slots=True)
class Order:
    """One order of arrivals; the same seed gives the same order."""

    seed: int

    def __str__(self) -> str:
        return f"the order of seed {self.seed}"


class Interleavings:
    """Many orders: to be gone through, or to decorate a test that takes an `order`."""

    def __init__(self, number: int, first: int) -> None:
        self.number = number
        self.first = first

    def __iter__(self) -> Iterator[Order]:
        return (Order(seed) for seed in range(self.first, self.first + self.number))

    def __len__(self) -> int:
        return self.number

    def __call__(self, test: Test) -> Test:
        """Run a test once for each order; fixtures with a `reset` are reset in between."""
        orders = [*self]
        return passes(test, "order", lambda _: orders[1:], lambda: orders[0])


def interleavings(number: int, *, first: int = 1) -> Interleavings:
    """So many orders, beginning with the seed `first`."""
    return Interleavings(number, first)
