"""Whatever else a function may hold: random processes with odd things put in, moved or doubled."""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterator
from random import Random

from tests.unit.drawing.generating import Case

__all__ = ["TRAPS", "mutated"]

TRAPS = '''
class Ran(BaseException):
    """Code of an author was run while it was only read."""


def _run(*_facts: object, **_more: object) -> object:
    raise Ran


class Meta(type):
    """A class that cannot be touched."""

    __getattr__ = __instancecheck__ = __subclasscheck__ = __iter__ = __len__ = _run


class Trapped(metaclass=Meta):
    """A thing that cannot be touched."""

    __getattr__ = __bool__ = __eq__ = __iter__ = __call__ = __getitem__ = __len__ = _run
    __contains__ = __await__ = __str__ = __repr__ = __format__ = __aenter__ = __enter__ = _run
    __hash__ = None
    value = property(_run)


trapped = Trapped()
'''
_ODD = (
    "async for each in items:\n    await do['odd']('x')",
    "yield 1",
    "with open('file') as file:\n    await do['odd']('x')",
    "async with items:\n    await do['odd']('x')",
    "match items:\n    case [first, *rest] if first:\n        await do['odd']('x')",
    "match items:\n    case {'a': 1, **rest}:\n        await do['odd']('x')",
    "try:\n    await do['odd']('x')\nexcept* NoSeat:\n    pass",
    "try:\n    await do['odd']('x')\nexcept:\n    raise",
    "try:\n    await do['odd']('x')\nfinally:\n    return 'odd'",
    "try:\n    pass\nexcept (NoSeat, Overdue) as error:\n    raise error",
    "while True:\n    pass",
    "while True:\n    if await do['odd']('x'):\n        break\nelse:\n    pass",
    "for one, (two, *three) in zip(items, items):\n    await do[one](two)",
    "for items[0] in flags:\n    await do['odd']('x')",
    "del items",
    "assert await do['odd']('x'), await do['odder']('x')",
    "await items",
    "await items[0]",
    "await do",
    "await do['odd']",
    "await do()('x')",
    "await do['odd', 'even']('x')",
    "await do[lambda: 1]('x')",
    "await do[0.5]('x')",
    "await (do if flags else free)['odd']('x')",
    "await (lambda: do('x'))()",
    "await getattr(do, 'x')",
    "await parallel",
    "await parallel()",
    "await parallel(*items)",
    "await parallel(**{'a': 1})",
    "await parallel(do('x') for item in items)",
    "await parallel(*[do[a](b) for a in items for b in items if a])",
    "await first_of('odd')",
    "await first_of('odd', *items)",
    "await first_of('odd', **{'one': do('x')})",
    "await n_of('odd', len(items), *[do[each](each) for each in items])",
    "await n_of()",
    "await approval()",
    "await approval(items, by=flags)",
    "await approval(f'odd[{items[0]}]', by=team('it'))",
    "await timer(timedelta)",
    "await timer('odd', after=items, at=flags)",
    "with section(items):\n    await do['odd']('x')",
    "with section():\n    await do['odd']('x')",
    "with section('a'), section('b'):\n    await do['odd']('x')",
    "async with compensation():\n    await do['odd']('x')",
    "async with compensation() as (undo, more):\n    undo(free)",
    "async with group(items) as members:\n    members.add(items)",
    "async with group('odd') as members:\n    await members.join(3)\n    members.add(do('x'))",
    "async with lock('odd'):\n    await do['odd']('x')",
    "{await do[each](each) for each in items}",
    "[await do[each](each) for each in items if await do['odd'](each)]",
    "odd = {each: await do[each](each) async for each in items}",
    "flags[0] = items[await do['odd']('x')] = await do['odder']('x')",
    "one, *two = three = await do['odd']('x')",
    "one: str = await do['odd']('x')",
    "one: str",
    'print(f\'{await do["odd"]("x"):>{await do["odder"]("x")}}\')',
    "if (odd := await approval('odd', by=team('it'))).approved and await do['odd']('x'):\n    pass",
    "async def inner():\n    await do['odd']('x')",
    "def inner():\n    return do('x')",
    "class Inner:\n    odd = await_ = 1",
    "import os",
    "from os import path",
    "exec('1')",
    "raise",
    "raise NoSeat from await do['odd']('x')",
    "return await do['odd']('x')",
    "global odd\nodd = 1",
    "trapped.value",
    "await trapped.value",
    "await trapped.value('x')",
    "await trapped('x')",
    "await trapped['odd']('x')",
    "await Trapped.value('x')",
    "await Trapped()",
    "if trapped:\n    await do['odd']('x')",
    "if trapped == Trapped.value:\n    await do['odd']('x')",
    "for each in trapped:\n    await do[each](each)",
    "match trapped:\n    case Trapped(value=1):\n        await do['odd']('x')",
    "try:\n    await do['odd']('x')\nexcept Trapped:\n    pass",
    "try:\n    await do['odd']('x')\nexcept trapped.value:\n    pass",
    "with section(trapped):\n    await do['odd']('x')",
    "async with trapped:\n    await do['odd']('x')",
    "await do[trapped]('x')",
    "await approval(trapped, by=trapped, within=trapped)",
    "await parallel(trapped, Trapped)",
    "await timer('odd', at=trapped.value)",
)


def mutated(case: Case) -> Iterator[str]:
    """A few texts that Python takes, each further from the one before."""
    chance = Random(f"{case.seed} mutations")
    tree = ast.parse(case.text)
    for _ in range(4):
        edited = copy.deepcopy(tree)
        _mutate(edited, chance)
        text = ast.unparse(ast.fix_missing_locations(edited))
        try:
            compile(text, "mutated", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        tree = edited
        yield text


def _mutate(tree: ast.Module, chance: Random) -> None:
    functions = [each for each in tree.body if isinstance(each, ast.AsyncFunctionDef)
                 and len(each.args.args) == 2]  # fmt: skip
    bodies = [body for function in functions for node in ast.walk(function)
              for _, body in ast.iter_fields(node)
              if isinstance(body, list) and body and isinstance(body[0], ast.stmt)]  # fmt: skip
    body, other = chance.choice(bodies), chance.choice(bodies)
    at = chance.randrange(len(body))
    match chance.randrange(6):
        case 0:
            body[at] = copy.deepcopy(chance.choice(other))
        case 1:
            body.insert(at, copy.deepcopy(chance.choice(other)))
        case 2 if len(body) > 1:
            del body[at]
        case 3:
            body[at] = _around(body[at], chance)
        case _:
            text = "async def f():\n" + textwrap.indent(chance.choice(_ODD), "    ")
            (function,) = ast.parse(text).body
            assert isinstance(function, ast.AsyncFunctionDef)
            body[at:at] = function.body


def _around(statement: ast.stmt, chance: Random) -> ast.stmt:
    """A statement in a block that is there for nothing."""
    heads = (
        "while items:",
        "for _ in range(3):",
        "if not flags:",
        "with section('around'):",
        "async with compensation() as undo:",
        "async with group('around') as around:",
    )
    text = f"async def f():\n    {chance.choice(heads)}\n        pass"
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.AsyncFunctionDef)
    (block,) = function.body
    assert isinstance(block, ast.While | ast.For | ast.If | ast.With | ast.AsyncWith)
    block.body = [statement]
    return block
