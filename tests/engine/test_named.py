"""A name stands for one thing: whoever uses it twice is told both places."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from newel import process
from newel.base.errors import DefinitionError
from newel.connectors.hr_feed import Feed, HrSystem, hr_feed
from newel.connectors.signatures import StandardWebhooks
from newel.engine.definitions import defined
from newel.engine.hr_feeds import hr_feeds


@process(name="greet", subject=None)
async def one() -> None:
    """Greet."""


@process(name="greet", subject=None)
async def other() -> None:
    """Greet otherwise."""


def test_two_processes_of_one_name_are_refused():
    """The later one would silently have run in the place of the other."""
    assert defined([one, one]) == {"greet": one}
    with pytest.raises(DefinitionError, match=rf"F713.*named `greet`: in `{__name__}`\."):
        defined([one, other])


def test_two_feeds_of_one_name_are_refused():
    """It is told as a feed, not as the hook or the schedule that would come of it."""
    system = cast("HrSystem", type("System", (), {"name": "bamboohr"})())
    feed: Feed = hr_feed(system, signed=StandardWebhooks(), starts=lambda _: None)
    nobody = cast("Any", None)
    with pytest.raises(
        DefinitionError, match=r"F711.*Two feeds.*`bamboohr`.*`company\.b`.*hr_feed"
    ):
        hr_feeds(nobody, [feed, replace(feed, place="company.b")], begin=nobody)
