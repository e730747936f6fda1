"""`verify` has the parameters and the result of its step, also as a method."""

from __future__ import annotations

from typing import assert_type

from newel import Absent, Found, Unclear, process, step


async def look(order: str, *, amount: int) -> Found[str] | Absent | Unclear:
    """Look for a transfer."""
    return Found(f"{order}{amount}")


@step(verify=look, in_doubt="repeat", raises=LookupError)
async def transfer(order: str, *, amount: int) -> str:
    """Order a transfer."""
    return f"{order}{amount}"


class Bank:
    """A connector."""

    name = "bank"

    async def _look(self, order: str) -> Found[int] | Absent:
        return Found(len(order))

    @step(verify=_look)
    async def pay(self, order: str) -> int:
        """Pay."""
        return len(order)


bank = Bank()


@process(subject=None, owner="it")
async def facts() -> None:
    """Callers see the step."""
    assert_type(await transfer("x", amount=1), str)
    assert_type(await bank.pay("x"), int)
    assert_type(await bank.pay["one"]("x"), int)
