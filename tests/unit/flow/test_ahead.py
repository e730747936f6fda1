"""What lies ahead of a body: told from where its code stands, and never too little."""

from __future__ import annotations

import contextlib
import contextvars
import linecache
from typing import Any

import pytest

from newel.flow.ahead import ahead, anywhere, source_of
from newel.flow.context import DRIVEN
from tests.changes.versions import module, version

STEPS = """
@step
async def a() -> str: ...
@step
async def b() -> str: ...
@step
async def c() -> str: ...
settled = Event("settled", str)
"""


class _Driven:
    """As much of a driven run as calls of acts look at."""

    def __init__(self) -> None:
        self.called: list[Any] = []


def stands(body: str, *, after: int = 1, helpers: str = "") -> Any:
    """What lies ahead of a body that has received `after` - 1 outcomes."""
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    names = module(f"{STEPS}\n{helpers}\nasync def work(x: object = None) -> None:\n{lines}\n")
    coroutine = names["work"]()
    context = contextvars.copy_context()
    context.run(DRIVEN.set, _Driven())  # type: ignore[arg-type]  # as much of it as is read
    for _ in range(after):
        context.run(coroutine.send, None)
    found = ahead([(coroutine, "")])
    with contextlib.suppress(RuntimeError):  # an act of a `finally` is awaited on the way out
        context.run(coroutine.close)
    context.run(coroutine.close)
    return found


@pytest.mark.parametrize(
    ("body", "keys", "gone"),
    [
        ("await a()\nawait b()", {"b"}, {"a", "c"}),
        ("await a()\nif x:\n    await b()\nelse:\n    await c()", {"b", "c"}, {"a"}),
        ("if not x:\n    await a()\nelse:\n    await b()\nawait c()", {"c"}, {"a", "b"}),
        ("while True:\n    await a()\n    await b()", {"a", "b", "a#2"}, {"c", "a[x]"}),
        ("for y in 'pq':\n    await a[y]()", {"a[p]", "a[z]"}, {"a", "b[p]"}),
        ("try:\n    await a()\nexcept Overdue:\n    await b()", {"b"}, {"a", "c"}),
        ("try:\n    await a()\nfinally:\n    await b()", {"b"}, {"a"}),
        ("await a()\nawait parallel(*[b[y]() for y in 'pq'])", {"b[p]"}, {"b"}),
        ("await a()\nwith section('s'):\n    await b()", {"s/b"}, {"b", "t/b", "s/a"}),
        ("await a()\nwith section(str(x)):\n    await b()", {"s/b", "t/b"}, {"b"}),
        ("await a()\nwith section('s', formerly='t'):\n    await b()", {"s/b", "t/b"}, {"b"}),
        ("await a()\nwith section('s', formerly=''):\n    await b()", {"s/b", "b"}, {"t/b"}),
        ("await a()\nawait approval('k', by=team('x'))", {"k"}, {"k[1]", "l"}),
        ("await a()\nawait approval(f'k[{x}]', by=team('x'))", {"k[1]"}, {"k"}),
        (
            "await a()\nawait approval('k', by=team('x'), formerly=('l', 's/m'))",
            {"l", "s/m"},
            {"m2"},
        ),
        ("await a()\nawait settled.wait()", {"settled"}, {"settled[x]"}),
        ("await a()\nawait settled['x'].wait()", {"settled[x]"}, {"settled[y]"}),
        ("await a()\nother = b\nawait other()", {"b", "b[x]"}, {"a", "c"}),
        ("other = b\nawait a()\nawait other()", {"b", "b[x]"}, {"a", "c"}),
        ("await a()\nawait x.made()", {"made", "y.made"}, {"b"}),
        ("await (\n    a()\n)\nawait (\n    settled\n    .wait()\n)", {"settled"}, {"a"}),
        ("await a()\nreturn\nawait b()", {"undo/b"}, {"b"}),
    ],
)
def test_what_can_follow_is_ahead_and_nothing_else(body, keys, gone):
    """Jumps, loops, handlers, sections, items: as the code would go from there."""
    found = stands(body)
    assert {key for key in keys | gone if found.has(key)} == keys


def test_helpers_are_read_whole_and_where_they_stand():
    """In a helper the rest of it lies ahead, and the rest of who called it."""
    helpers = (
        "async def inner() -> None:\n    with section('in'):\n        await a()\n    await b()\n"
    )
    found = stands("with section('out'):\n    await inner()\nawait c()", helpers=helpers)
    assert [key for key in ("out/in/a", "out/b", "c", "b", "a") if found.has(key)] == ["out/b", "c"]
    found = stands("await c()\nwith section('out'):\n    await inner()", helpers=helpers)
    assert [key for key in ("out/in/a", "out/b", "c", "in/a") if found.has(key)] == [
        "out/in/a",
        "out/b",
    ]


def test_without_source_every_name_is_possible():
    """Code whose source is nowhere is read by its names: less is called gone, nothing wrongly."""
    names = module(f"{STEPS}\nasync def work() -> None:\n    await a()\n    await b()\n")
    linecache.cache.pop(names["work"].__code__.co_filename)
    coroutine = names["work"]()
    context = contextvars.copy_context()
    context.run(DRIVEN.set, _Driven())  # type: ignore[arg-type]  # as much of it as is read
    context.run(coroutine.send, None)
    found = ahead([(coroutine, "")])
    context.run(coroutine.close)
    assert (found.has("a"), found.has("b"), found.has("z")) == (True, True, False)


def test_the_source_of_a_process_is_all_that_it_is_made_of():
    """Another helper, step or type is another version; newel's and Python's own are left out."""
    text = (
        f'{STEPS}\n@process(subject=None, owner="it")\nasync def work() -> None:\n    await a()\n'
    )
    one, same, other = version(text), version(text), version(text + "\nRATE = 2\n")
    assert one.definition_sha256 == same.definition_sha256 != other.definition_sha256
    assert "newel.flow" not in source_of(one).replace("from newel", "")
    assert anywhere(one).has("a")
    assert not anywhere(one).has("b")
