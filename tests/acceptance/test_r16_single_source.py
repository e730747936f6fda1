"""R16: logic once, in Python.

What derives from the process today is its form, the steps and events that are read from its
source, and the keys of its journal. Drawing, plan, permissions and the documentation's pages, and
the check that a committed drawing is fresh, come with the drawing and are tested there.
"""

from __future__ import annotations

import dataclasses

from newel.flow.reading import name_of, sites


async def test_single_source(acme):
    """R16: what the three jobs run is what is read of the one source, no more and no less."""
    async with acme() as house, house.worker():
        process = house.engine.processes["onboarding"]
        ran: set[str] = set()
        for name, job in [
            ("Jane Doe", "engineer"),
            ("Rita Roe", "sales"),
            ("Ola Office", "office"),
        ]:
            run = await house.onboard(name=name, job=job)
            assert await house.finish(run) == "completed"
            ran |= {name_of(key) for kind, key in await house.events(run) if kind == "step.started"}
        assert ran == set(sites(process))
        hire = process.function.__globals__["NewHire"]
        assert set(process.input_schema["properties"]) >= {
            field.name for field in dataclasses.fields(hire) if field.default is dataclasses.MISSING
        }
