"""Steps: their names, what they say of themselves, and how their inputs are told apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from newel.base.errors import DefinitionError, NotJournalable, Refused
from newel.domain.values import Absent, Found, Unclear
from newel.flow.step import Step, step


@dataclass(frozen=True)
class Order:
    """What a step may be given."""

    item: str
    price: Decimal


@step
async def buy(order: Order, *, copies: int = 1, note: str | None = None) -> str:
    """Buy something."""
    return f"{order.item} x {copies} {note}"


class Store:
    """A connector: the instance's name leads the keys of its steps."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def _find(self, item: str) -> Found[str] | Absent:
        return Found(f"{self.name}/{item}")

    @step(verify=_find, grants="{system}:item/{item}", system=None)
    async def take(self, item: str) -> str:
        """Take an item."""
        return f"{self.name} {item}"


class TestNames:
    """A step has its function's name, its connector's name in front, an item behind."""

    def test_a_function_gives_its_name(self):
        """Unless another one is given."""
        assert buy.name == buy(Order("x", Decimal(1))).base == "buy"

        @step(name="purchase")
        async def other() -> None:
            """Something else."""

        assert other.name == "purchase"

    def test_an_item_names_one_of_many(self):
        """The subscript is part of the key and of nothing else."""
        order = Order("x", Decimal(1))
        assert buy["a/b"](order).base == "buy[a%2Fb]"
        assert buy["a", 2](order).base == "buy[a,2]"
        assert buy["a"].name == "buy"
        assert buy["a"].arguments((order,), {}) == buy.arguments((order,), {})
        with pytest.raises(NotJournalable):
            _ = buy[1.5]  # type: ignore[index]  # the mistake under test

    def test_two_instances_of_a_connector_have_two_names(self):
        """Their steps never share a key, and each entitlement names its own system."""
        north, south = Store("north"), Store("south")
        assert [each.take("x").base for each in (north, south)] == ["north.take", "south.take"]
        assert north.take["x"]("x").base == "north.take[x]"
        assert isinstance(Store.take, Step)
        assert Store.take.name == "take"
        assert (north.take.options.system, north.take.options.grants) == (
            "north",
            "north:item/{item}",
        )

    async def test_a_bound_step_runs_its_instance(self):
        """Code and verify are bound to the instance they were taken from."""
        store = Store("north")
        assert await store.take("x") == "north x"
        assert store.take.verify is not None
        assert await store.take.verify("x") == Found("north/x")
        assert store.take is store.take

    @pytest.mark.parametrize("name", ["a b", "_newel", "1x"])
    def test_a_name_outside_the_grammar_is_refused(self, name):
        """Where the step is written."""
        with pytest.raises(NotJournalable):

            @step(name=name)
            async def wrong() -> None:
                """Wrong."""


class TestOptions:
    """What an author says of a step, and what is refused."""

    def test_defaults_are_the_careful_ones(self):
        """In doubt a person is asked; schedule and time are the process's and the engine's."""
        options = buy.options
        assert (options.in_doubt, options.exhausted, options.on_heal) == ("ask", "park", "resume")
        assert (options.retry, options.raises, options.timeout) == (None, (), None)

    @pytest.mark.parametrize("wrong", [Exception, BaseException, (ValueError, Exception)])
    def test_every_fault_cannot_be_an_answer(self, wrong):
        """F708: `raises=Exception` is refused."""
        with pytest.raises(Refused, match="F708"):

            @step(raises=wrong)
            async def pay() -> None:
                """Pay."""

    def test_a_single_answer_may_stand_without_a_tuple(self):
        """One class or many."""

        @step(raises=KeyError)
        async def one() -> None:
            """One."""

        assert one.options.raises == (KeyError,)

    async def test_a_step_may_be_its_own_verify(self):
        """A decorated look-up is used undecorated."""

        @step
        async def look() -> Found[int] | Absent | Unclear:
            return Found(1)

        @step(verify=look)
        async def make() -> int:
            """Make it."""
            return 1

        assert make.verify is look.function

    @pytest.mark.parametrize("what", ["parameter", "result"])
    def test_a_step_without_annotations_is_refused_by_name(self, what):
        """F701: newel must know the type to read it back."""
        wrong: Any
        if what == "parameter":

            async def wrong(item) -> None:
                """Wrong."""
        else:

            async def wrong(item: str):
                """Wrong."""

        with pytest.raises(Refused, match="F701"):
            step(wrong)

    def test_a_step_with_a_value_that_cannot_be_kept_is_refused(self):
        """F702: sets have no order."""
        with pytest.raises(Refused, match="F702"):

            @step
            async def wrong() -> set[str]:
                """Wrong."""
                return set()


ORDER = Order("book", Decimal("9.50"))


class TestArguments:
    """The input of a call, as its fingerprint is made of it."""

    def test_the_same_call_is_written_the_same_way_however_it_is_spelled(self):
        """By position or by name, in any order."""
        one = buy.arguments((ORDER,), {"copies": 2, "note": "x"})
        other = buy.arguments((), {"note": "x", "copies": 2, "order": ORDER})
        assert one == other
        assert json.loads(one) == {
            "order": {"item": "book", "price": "9.50"},
            "copies": 2,
            "note": "x",
        }

    def test_an_argument_that_equals_its_default_is_left_out(self):
        """So a parameter that is added with a default changes no fingerprint."""
        assert buy.arguments((ORDER,), {}) == buy.arguments((ORDER,), {"copies": 1, "note": None})

        @step(name="buy")
        async def older(order: Order) -> str:
            """The step before it had more parameters."""
            return order.item

        assert older.arguments((ORDER,), {}) == buy.arguments((ORDER,), {})

    def test_another_value_is_another_input(self):
        """Every argument counts."""
        inputs = {
            buy.arguments((ORDER,), {}),
            buy.arguments((Order("book", Decimal("9.51")),), {}),
            buy.arguments((ORDER,), {"copies": 2}),
            buy.arguments((ORDER,), {"note": ""}),
        }
        assert len(inputs) == 4

    def test_many_positional_arguments_do_not_hide_what_follows(self):
        """Names after `*` are read by name, however many values stand before them."""

        @step
        async def tell(*names: str, loud: bool = False) -> None:
            """Tell people."""

        assert json.loads(tell.arguments(("a", "b", "c"), {"loud": True})) == {
            "names": ["a", "b", "c"],
            "loud": True,
        }
        assert json.loads(tell.arguments(("a",), {})) == {"names": ["a"]}
        assert tell.arguments((), {"loud": True}) != tell.arguments(("b",), {"loud": True})

    def test_arguments_by_any_name_count(self):
        """What `**` takes is part of the input."""

        @step
        async def tag(item: str, **labels: str) -> None:
            """Label an item."""

        assert json.loads(tag.arguments(("x",), {"b": "2", "a": "1"})) == {
            "item": "x",
            "labels": {"a": "1", "b": "2"},
        }
        assert tag.arguments(("x",), {"a": "1"}) != tag.arguments(("x",), {"a": "2"})

    def test_what_is_made_has_a_name_across_runs(self):
        """The effect key is made of the step and the natural key that it declares, or absent."""
        assert buy.effect_key((ORDER,), {}) is None
        made = Step(buy.function, "buy", buy.options)
        made.options = replace(made.options, natural_key="{order.item}")
        key = made.effect_key((ORDER,), {"copies": 5})
        assert key is not None
        assert len(key) == 16
        assert key == made.effect_key((), {"order": ORDER})
        assert key != made.effect_key((Order("other", Decimal(1)),), {})

    def test_a_template_that_does_not_fit_the_call_is_the_authors_mistake(self):
        """A wrong name in a template, or a call with a missing argument, is said plainly."""
        for template, args in (("{nobody}", (ORDER,)), ("{order.nothing}", (ORDER,)), ("x", ())):
            with pytest.raises(DefinitionError):
                buy.described(template, args, {})
