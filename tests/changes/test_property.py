"""Any edit of any body at any place: no finished step runs again, and no worker dies of it."""

from __future__ import annotations

from random import Random
from zlib import crc32

import pytest

from newel.testing.running import Run, running
from tests.changes.versions import World, version

NAMES = "abcdefgh"
EXAMPLES = 100


def steps_of(names: set[str], formerly: dict[str, str]) -> str:
    """A step for each name."""
    return "\n".join(
        f'@step(in_doubt="repeat"{_former(name, formerly)})\nasync def {name}() -> str:\n'
        f'    return "{name}"\n'
        for name in sorted(names)
    )


def _former(name: str, formerly: dict[str, str]) -> str:
    return f', formerly="{formerly[name]}"' if name in formerly else ""


Block = list["str | list[Block]"]
"""Acts one after another; a list inside is a `parallel` of blocks; `?` before a name is a wait."""


def made(random: Random, names: list[str], depth: int = 0) -> Block:
    """A random body out of these names, each used once."""
    block: Block = []
    while names and len(block) < 4:
        if depth < 2 and len(names) > 2 and random.random() < 0.3:
            block.append([made(random, names, depth + 1) for _ in range(2)])
        else:
            block.append(("?" if random.random() < 0.3 else "") + names.pop())
    return block


def written(block: Block) -> tuple[list[str], list[str]]:
    """The lines of a block, and of the helpers that its branches are."""
    lines: list[str] = []
    helpers: list[str] = []
    for part in block:
        if isinstance(part, str):
            lines.append(f"await {_act(part)}")
            continue
        branches: list[str] = []
        for branch in part:
            inner, more = written(branch)
            if not inner:
                branches.append("None")
                continue
            name = f"branch_{len(helpers)}_{crc32(str(branch).encode())}"
            helpers += more
            helpers += [
                f"async def {name}() -> None:",
                *(f"    {line}" for line in inner),
            ]
            branches.append(f"{name}()")
        lines.append(f"await parallel({', '.join(branches)})")
    return lines, helpers


def _act(name: str) -> str:
    if name.startswith("?"):
        return f'approval("{name[1:]}", by=team("it"))'
    return f"{name}()"


def flat(block: Block) -> list[str]:
    """The names of a block."""
    found: list[str] = []
    for part in block:
        found += [part] if isinstance(part, str) else [each for b in part for each in flat(b)]
    return found


def source(block: Block, formerly: dict[str, str]) -> str:
    """The module of a body."""
    lines, helpers = written(block)
    steps = {name for name in flat(block) if not name.startswith("?")}
    body = "\n".join(f"    {line}" for line in lines or ["pass"])
    return (
        f"{steps_of(steps, formerly)}\n" + "\n".join(helpers) + "\n"
        f'@process(subject=None, owner="it")\nasync def work() -> None:\n{body}\n'
    )


def edited(random: Random, block: Block, new: str) -> tuple[Block, str | None]:
    """One act added, removed, renamed or moved, somewhere; answers with what was renamed."""
    renamed: str | None = None
    block = [part if isinstance(part, str) else [list(each) for each in part] for part in block]
    place = block
    while any(not isinstance(part, str) for part in place) and random.random() < 0.5:
        inner = random.choice([part for part in place if not isinstance(part, str)])
        place = random.choice(inner)
    kind = random.choice(["add", "remove", "rename", "move"])
    at = random.randrange(len(place) + 1)
    if kind == "add" or not place:
        place.insert(at, new)
    elif kind == "remove":
        del place[at % len(place)]
    elif kind == "rename" and isinstance(place[at % len(place)], str):
        renamed = str(place[at % len(place)])
        place[at % len(place)] = new
    else:
        place.insert(at % len(place), place.pop())
    return block, renamed


async def live(run: Run[None], random: Random, moves: int) -> None:
    """People answer some of what is open."""
    for _ in range(moves):
        waiting = sorted(run.waiting())
        if run.state != "waiting" or not waiting:
            return
        await run.decide(random.choice(waiting), approved=True)


@pytest.mark.parametrize("seed", range(EXAMPLES))
async def test_random_edits_do_nothing_twice(seed):
    """Three random edits in the life of a run; whatever the verdict, each step ran at most once."""
    random = Random(seed)
    names = list(NAMES)
    random.shuffle(names)
    block = made(random, names)
    world = World()
    process = version(source(block, {}), world)
    async with running(process.request()) as run:
        await live(run, random, random.randrange(4))
        versions, twice = [block], set()
        for number in range(3):
            if run.state in {"completed", "failed"}:
                break
            changed, renamed = edited(random, versions[-1], f"n{number}")
            versions.append(changed)
            before = set(run.done())
            if renamed in before:
                twice.add(f"n{number}()")  # it would do again what is done
            run.deploy(version(source(versions[-1], {}), world))
            assert run.state in {"waiting", "parked", "completed"}, run.told()
            if run.state == "parked":
                assert run.row["parked_reason"] in {"blocked", "bug"}
                assert "`" in run.waits_for()
            assert before <= set(run.done())
            await live(run, random, random.randrange(3))
        if run.state == "parked":
            run.deploy(version(source(versions[-2], {}), world))
            if run.state == "parked":
                run.deploy(version(source(block, {}), world))
        assert set(world.effects.values()) <= {1}, world.effects
        assert not twice & set(world.effects)
        assert len(run.done()) == len(set(run.done()))
