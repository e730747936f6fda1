"""Retention by hand: empty now what a worker would empty by and by."""

from __future__ import annotations

from newel.cli.output import say, say_json
from newel.cli.parameters import AsJson

__all__ = ["retention"]


def retention(*, as_json: AsJson = False) -> None:
    """Empty the payloads of runs that ended longer ago than the setting `keep_payloads` says.

    Workers do the same by themselves. What happened stays told: leaves are not touched.
    """
    from newel.cli.deployment import carried_out, found_engine

    async def emptied() -> int:
        count = 0
        async with found_engine(new=False) as engine:
            while some := await engine.retention.expire():
                count += some
        return count

    count = carried_out(emptied())
    if as_json:
        return say_json({"runs": count})
    return say(f"The payloads of {count} runs were emptied.")
