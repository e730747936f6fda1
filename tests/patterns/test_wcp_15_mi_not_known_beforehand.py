"""Pattern 15, multiple instances without a number known beforehand."""

from __future__ import annotations

from newel import Event, group, process
from tests.patterns.company import book, do
from tests.patterns.harness import Driver, Pattern, checks

more_documents = Event("more-documents", tuple[str, ...])


@process(subject=None, owner="it")
async def checked(first: tuple[str, ...]) -> int:
    """Documents are checked while more of them come; an empty batch closes the list."""
    async with group("documents", str) as documents:
        batch = first
        while batch:
            for document in batch:
                documents.add(do[document](document))
            batch = await more_documents.wait()
        results = await documents.join()
    return len(results)


async def play(run: Driver) -> None:
    """The first are checked while the process waits for more; none is checked twice."""
    assert sorted(book.order) == ["do[a]", "do[b]"]
    await run.send(more_documents, ("c",))
    assert sorted(book.order) == ["do[a]", "do[b]", "do[c]"]
    await run.send(more_documents, ())
    assert await run.result() == 3
    assert set(book.done().values()) == {1}


test_on_postgresql, test_in_any_order, test_with_a_crash_anywhere, test_as_it_is_drawn = checks(
    Pattern("two, then one", checked.request(("a", "b")), play)
)
