"""The shape of the code: the report measures rightly, and its exceptions only ever shrink."""

from pathlib import Path

from scripts.shape import Measured, Shape, excused, measured, report


def planted(root: Path) -> Shape:
    """Measure a small tree: a class with a method that holds a function, and one test file."""
    package = root / "src" / "newel" / "base"
    package.mkdir(parents=True)
    (package / "one.py").write_text(
        "class Held:\n    def outer(self):\n"
        "        def inner():\n            pass\n        inner()\n"
    )
    tests = root / "tests"
    tests.mkdir()
    (tests / "test_one.py").write_text("x = 1\n" * 3)
    return measured(root)


def test_functions_files_and_tests_are_measured(tmp_path):
    """Methods and inner functions are named by where they stand and counted in lines."""
    assert planted(tmp_path) == Shape(
        functions=[
            Measured(name="src/newel/base/one.py:Held.outer", lines=4),
            Measured(name="src/newel/base/one.py:Held.outer.inner", lines=2),
        ],
        files=[Measured(name="src/newel/base/one.py", lines=5)],
        test_lines=3,
    )


def test_the_report_says_the_measures(tmp_path):
    """Median, ninetieth and ninety-ninth of a hundred, and the share of tests, are printed."""
    lines = report(planted(tmp_path)).splitlines()
    assert lines[0].startswith("functions  2: median 4, p90 4, p99 4, longest 4")
    assert lines[2].startswith("lines      5 of code, 3 of tests: 0.60")


def test_what_is_too_long_is_named():
    """A function over 80 lines and a file over 600 break the limits; the limits do not."""
    shape = Shape(
        functions=[Measured(name="a:f", lines=80), Measured(name="a:g", lines=81)],
        files=[Measured(name="a", lines=600), Measured(name="b", lines=601)],
        test_lines=0,
    )
    assert shape.too_long() == {"a:g", "b"}


def test_the_list_of_exceptions_is_read_with_its_reasons(tmp_path):
    """An entry is a name, a colon with a space, and a reason; comments are none."""
    listed = tmp_path / "long_functions.txt"
    listed.write_text("# why\n\nsrc/newel/a.py:f: one table, read from top to bottom\n")
    assert excused(listed) == {"src/newel/a.py:f": "one table, read from top to bottom"}


def test_the_code_keeps_its_shape():
    """What is over a limit is in the list with a reason, and nothing else is."""
    listed = excused()
    assert measured().too_long() == set(listed)
    assert [name for name, reason in listed.items() if len(reason) < 10] == []
