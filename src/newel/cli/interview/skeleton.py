"""The first code of a process, from the answers of an interview.

What nobody can know from an interview (how a system is asked) is a step that says so: it parks, and
a person does it and says that it is done, until somebody writes it. So the process runs from the
first day. Source: drawing document, §15.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from newel.cli.interview.answers import Answer, Interview, kind_of, nearest, slug, word

__all__ = ["Skeleton", "skeleton_of"]

_CONDITION = re.compile(r"(?P<not>not )?(?P<field>[\w ]+?)( is (?P<isnot>not )?(?P<value>.+))?")
_WIDTH: Final = 100
_LONGEST_PROSE: Final = 80
_AT = re.compile(r"(?P<field>[\w ]+?)( at (?P<hour>\d\d?):(?P<minute>\d\d))?")


@dataclass
class Skeleton:
    """Lines of code, and what a test must know of them.

    asked, filled, heard, done: keys with the values that a test answers with. deadlines: keys that
    are asked again if nobody answers. again: asks that are repeated until one says yes. branches:
    values of fields that lead to different acts. by_hand: what people do.
    """

    interview: Interview
    body: list[str] = field(default_factory=list[str])
    parts: list[list[str]] = field(default_factory=list[list[str]])
    forms: list[list[str]] = field(default_factory=list[list[str]])
    steps: dict[str, list[list[str]]] = field(default_factory=dict[str, list[list[str]]])
    events: dict[str, str] = field(default_factory=dict[str, str])
    words: set[str] = field(default_factory=set[str])
    asked: list[str] = field(default_factory=list[str])
    again: list[str] = field(default_factory=list[str])
    deadlines: list[str] = field(default_factory=list[str])
    filled: dict[str, str] = field(default_factory=dict[str, str])
    done: dict[str, str] = field(default_factory=dict[str, str])
    branches: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    by_hand: list[str] = field(default_factory=list[str])


def skeleton_of(interview: Interview) -> Skeleton:
    """Write the process; raises InvalidInput for what is said twice or of nothing."""
    return _Writer(interview).written()


class _Writer:
    """Writes one process; lines go where `_out` leads: the body, or a helper."""

    def __init__(self, interview: Interview) -> None:
        self.found = Skeleton(interview)
        self._interview = interview
        self._out = self.found.body
        self._indent = 1
        self._keys: set[str] = set()

    def written(self) -> Skeleton:
        self._all(self._interview.steps)
        return self.found

    # --- lines ------------------------------------------------------------------------------

    def _line(self, text: str) -> None:
        self._out += wrapped(text, self._indent)

    def _word(self, *names: str) -> None:
        self.found.words.update(names)

    @contextlib.contextmanager
    def _block(self, head: str) -> Iterator[None]:
        self._line(head)
        self._indent += 1
        yield
        self._indent -= 1

    def _key(self, answer: Answer) -> str:
        key = slug(answer.text)
        if key in self._keys:
            raise answer.wrong(f"`{answer.text}` is said twice: give one of them another name")
        self._keys.add(key)
        return key

    def _field(self, answer: Answer, said: str) -> str:
        name = word(said)
        if name not in self._interview.fields:
            raise answer.wrong(
                f"`{said}` is no field: {nearest(name, list(self._interview.fields))}"
            )
        return name

    def _who(self, answer: Answer) -> str:
        name = word(answer.text)
        if name in self._interview.fields:
            if self._interview.fields[name].value != "person":
                raise answer.wrong(f"`{answer.text}` is no person")
            return f"facts.{name}"
        self._word("team")
        return f"team({quoted(answer.text)})"

    # --- steps ------------------------------------------------------------------------------

    def _all(self, steps: list[Answer]) -> None:
        if not steps:
            self._line("pass")
        opened = 0
        for step in steps:
            if "undo" in step.named and not opened:
                self._word("compensation")
                self._line("async with compensation() as undo:")
                self._indent += 1
                opened = 1
            self._step(step)
        self._indent -= opened

    def _step(self, step: Answer) -> None:
        kind = kind_of(step)
        writers = {
            "ask": self._ask, "fill": self._fill, "by hand": self._fill, "do": self._do,
            "together": self._together, "when": self._when, "choose": self._choose,
            "repeat": self._repeat, "wait": self._wait, "hear": self._hear,
        }  # fmt: skip
        writers[kind](step.named)

    def _ask(self, said: dict[str, Answer]) -> None:
        self._word("Rejected")
        name = self._decided(said)
        if "if no" in said:
            said["if no"].one_of(["stop"])
        with self._block(f"if not {name}.approved:"):
            self._line(f"raise Rejected({name})")

    def _decided(self, said: dict[str, Answer]) -> str:
        """Ask; where nobody answers in time, ask somebody else."""
        self._word("approval")
        key, who = self._key(said["ask"]), self._who(said["who"])
        self.found.asked.append(key)
        call = f'await approval("{key}", by={who}, title={quoted(said["ask"].text)}'
        if "within" not in said:
            self._line(f"decision = {call}{self._reminded(who)})")
            return "decision"
        self._word("Overdue")
        self.found.deadlines.append(key)
        with self._block("try:"):
            self._line(f"decision = {call}, within={self._span(said['within'])})")
        with self._block("except Overdue:"):
            self._otherwise(said, key, "decision = await approval", self.found.asked)
        return "decision"

    def _otherwise(
        self, said: dict[str, Answer], key: str, call: str, noted: list[str] | None
    ) -> None:
        """What follows where nobody answers in time: who was named, else the owner."""
        other = said["otherwise"].named if "otherwise" in said else None
        if other is None:
            late, who = f"{key}-late", self._owners()
        else:
            for name in ("ask", "who"):
                if name not in other:
                    raise said["otherwise"].wrong(f"`otherwise` needs `{name}:`")
            late, who = self._key(other["ask"]), self._who(other["who"])
        self._keys.add(late)
        if noted is not None:
            noted.append(late)
        self._line(f'{call}("{late}", by={who}{self._reminded(who)})')

    def _owners(self) -> str:
        self._word("team")
        return f"team({quoted(self._interview.owner)})"

    def _reminded(self, who: str) -> str:
        """One person alone is reminded; a team has others."""
        if who.startswith("team("):
            return ""
        self._word("days")
        return ", remind=days(1)"

    def _span(self, answer: Answer) -> str:
        span = answer.span()
        self._word(span.partition("(")[0])
        return span

    def _fill(self, said: dict[str, Answer]) -> None:
        kind = "fill" if "fill" in said else "by hand"
        self._word("form")
        key, who = self._key(said[kind]), self._who(said["who"])
        schema = f", {self._schema(key, said['fields'])}" if kind == "fill" else ""
        if kind == "by hand":
            self.found.by_hand.append(f"{said[kind].text} ({said['who'].text})")
            self.found.filled[key] = "None"
        call = f'await form("{key}"{schema}, by={who}, title={quoted(said[kind].text)}'
        if "within" not in said:
            self._line(f"{call}{self._reminded(who)})")
            return
        self._word("Overdue")
        self.found.deadlines.append(key)
        self.found.filled[f"{key}-late"] = self.found.filled[key]
        with self._block("try:"):
            self._line(f"{call}, within={self._span(said['within'])})")
        with self._block("except Overdue:"):
            self._keys.add(f"{key}-late")
            self._line(f'await form("{key}-late"{schema}, by={self._owners()})')

    def _schema(self, key: str, fields: Answer) -> str:
        name = "".join(part.capitalize() for part in key.split("-"))
        self.found.forms.append([name, *(f"{word(each)}: str" for each in fields.named)])
        values = ", ".join(f'"{word(each)}": "said in a test"' for each in fields.named)
        self.found.filled[key] = f"{{{values}}}"
        return name

    def _do(self, said: dict[str, Answer]) -> None:
        system = said["in"].text
        name = f"{word(system)}_{word(said['do'].text)}"
        call = self._made(said, system, name, said["do"].text)
        if "undo" in said:
            undone = f"{word(system)}_{word(said['undo'].text)}"
            self._key_of(said["undo"], undone)
            self._stub(system, undone, said["undo"].text, "facts: Facts", "None")
            self._line(f"undo({undone}, facts)")
        if "for each" in said:
            many = self._field(said["for each"], said["for each"].text)
            self._word("parallel")
            self._line(f"await parallel(*[{name}[each](facts, each) for each in facts.{many}])")
        else:
            self._line(f"await {call}")

    def _made(self, said: dict[str, Answer], system: str, name: str, title: str) -> str:
        self._key_of(said["do"], name)
        is_many = "for each" in said
        gives = "gives" in said and not is_many
        parameters = "facts: Facts, item: str" if is_many else "facts: Facts"
        self._stub(system, name, title, parameters, "str" if gives else "None")
        self.found.done[name] = '"given in a test"' if gives else "None"
        return f"{name}(facts)"

    def _key_of(self, answer: Answer, name: str) -> None:
        if name in self._keys:
            raise answer.wrong(f"`{answer.text}` is said twice of one system: say what differs")
        self._keys.add(name)

    def _stub(self, system: str, name: str, title: str, parameters: str, gives: str) -> None:
        permission = self._interview.systems[system].get("permission", "?")
        needs = "" if permission == "?" else f" It needs {permission}."
        question = f"How is this done in {system}: {title}?{needs}"
        self._interview.questions.append(question)
        head = f"@step(system={quoted(system)}, runbook=RUNBOOK, title={quoted(capital(title))})"
        self.found.steps.setdefault(system, []).append([
            *wrapped(head, 0),
            f"async def {name}({parameters}) -> {gives}:",
            f'    """{prose(title)}"""',
            *wrapped(f"raise NotImplementedError({quoted(question)})", 1),
        ])  # fmt: skip

    def _together(self, said: dict[str, Answer]) -> None:
        self._word("parallel")
        if not said["together"].list:
            raise said["together"].wrong("is empty")
        names = [self._helper(each) for each in said["together"].list]
        with self._block("await parallel("):
            for name in names:
                self._line(f"{name}(facts),")
        self._line(")")

    def _helper(self, step: Answer) -> str:
        """A function of its own for what stands beside others."""
        kind = kind_of(step)
        told = step.named[kind]
        said = told.text if isinstance(told.value, str) else kind
        name = f"part_{len(self.found.parts) + 1}_{word(said)}"[:60].rstrip("_")
        outer, self._out = self._out, []
        indent, self._indent = self._indent, 1
        lines = [f"async def {name}(facts: Facts) -> None:", f'    """{prose(said)}"""']
        place: list[str] = []
        self.found.parts.append(place)
        self._step(step)
        place += [*lines, *self._out]
        self._out, self._indent = outer, indent
        return name

    def _when(self, said: dict[str, Answer]) -> None:
        with self._block(f"if {self._condition(said['when'])}:"):
            self._all(said["then"].list)
        if "else" in said:
            with self._block("else:"):
                self._all(said["else"].list)

    def _condition(self, answer: Answer) -> str:
        found = _CONDITION.fullmatch(answer.text)
        if found is None:
            raise answer.wrong("is no condition: `role is engineer`, or a field that is yes or no")
        name = self._field(answer, found["field"])
        kind = self._interview.fields[name].value
        if found["value"] is None:
            if kind != "yes or no":
                raise answer.wrong(f"`{name}` is not yes or no: say `{name} is …`")
            self.found.branches.setdefault(name, ["True", "False"])
            return f"{'not ' if found['not'] else ''}facts.{name}"
        if not isinstance(kind, list):
            raise answer.wrong(f"`{name}` has no fixed values")
        Answer(found["value"], answer.line, answer.column).one_of(each.text for each in kind)
        self.found.branches.setdefault(name, [member(name, each.text) for each in kind])
        is_not = bool(found["isnot"]) != bool(found["not"])
        return f"facts.{name} is {'not ' if is_not else ''}{member(name, found['value'])}"

    def _choose(self, said: dict[str, Answer]) -> None:
        name = word(said["choose"].text)
        values = [each.text for each in self._interview.fields[name].list]
        self.found.branches.setdefault(name, [member(name, each) for each in values])
        with self._block(f"match facts.{name}:"):
            for value, steps in said["cases"].named.items():
                with self._block(f"case {member(name, value)}:"):
                    self._all(steps.list)
            if set(said["cases"].named) < set(values):
                with self._block("case _:"):
                    self._line("pass")

    def _repeat(self, said: dict[str, Answer]) -> None:
        until = said["until"].named
        if "ask" not in until or "who" not in until:
            raise said["until"].wrong("is an ask: `until: {ask: …, who: …}`")
        with self._block("while True:"):
            self._all(said["repeat"].list)
            before = len(self.found.asked)
            name = self._decided(until)
            self.found.again += self.found.asked[before:]
            with self._block(f"if {name}.approved:"):
                self._line("break")

    def _wait(self, said: dict[str, Answer]) -> None:
        self._word("timer")
        key = self._key(said["wait"])
        if "after" in said:
            self._line(f'await timer("{key}", after={self._span(said["after"])})')
            return
        found = _AT.fullmatch(said["until"].text)
        name = "" if found is None else self._field(said["until"], found["field"])
        if found is None or self._interview.fields[name].value != "date":
            raise said["until"].wrong("is no moment: `starts at 08:00`, of a field that is a date")
        hour, minute = int(found["hour"] or 9), int(found["minute"] or 0)
        if hour > 23 or minute > 59:
            raise said["until"].wrong("is no time of a day")
        at = f"datetime.combine(facts.{name}, time({hour}, {minute}), UTC)"
        self._line(f'await timer("{key}", at={at})')

    def _hear(self, said: dict[str, Answer]) -> None:
        self._word("Event")
        key = self._key(said["hear"])
        name = f"{word(said['hear'].text)}_heard"
        self.found.events[key] = name
        if "within" not in said:
            self._line(f"await {name}.wait()")
            return
        self._word("Overdue", "form")
        self.found.deadlines.append(key)
        late = f"{key}-late"
        self._keys.add(late)
        self.found.filled[late] = "None"
        with self._block("try:"):
            self._line(f"await {name}.wait(within={self._span(said['within'])})")
        with self._block("except Overdue:"):
            self._line(f'await form("{late}", by={self._owners()})')


def member(name: str, value: str) -> str:
    """The member of a field's enumeration: `Role.ENGINEER`."""
    return f"{kind_named(name)}.{word(value).upper()}"


def kind_named(name: str) -> str:
    """The enumeration of a field with fixed values: `Role`."""
    return "".join(part.capitalize() for part in name.split("_"))


def capital(text: str) -> str:
    """A text that begins a sentence."""
    return text[:1].upper() + text[1:]


def quoted(text: str) -> str:
    """A text as code, with the quotes that need fewer escapes: whatever stands in it, it is one."""
    written = json.dumps(" ".join(text.split()), ensure_ascii=False)
    if text.count('"') <= text.count("'"):
        return written
    inner = written[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{inner}'"


def prose(text: str) -> str:
    """A text as the one sentence of a docstring."""
    plain = " ".join(text.replace("\\", "/").replace('"', "'").split())
    return f"{capital(plain)[:_LONGEST_PROSE].rstrip('. ')}."


def wrapped(text: str, indent: int) -> list[str]:
    """A line of code, or several where it would be too long: each argument on its own."""
    pad = "    " * indent
    if len(pad) + len(text) <= _WIDTH or not text.endswith(")") or "(" not in text:
        return [f"{pad}{text}"]
    head, inner = text[: text.index("(") + 1], text[text.index("(") + 1 : -1]
    return [f"{pad}{head}", *(f"{pad}    {each}," for each in _parts(inner)), f"{pad})"]


def _parts(inner: str) -> Iterator[str]:
    """Arguments, taken apart where a comma stands outside of brackets and texts."""
    depth, begun, quote, before = 0, 0, "", ""
    for index, each in enumerate(inner):
        if before != "\\" and each in (quote or "\"'"):
            quote = "" if quote else each
        elif not quote and each in "([{":
            depth += 1
        elif not quote and each in ")]}":
            depth -= 1
        elif not quote and each == "," and not depth:
            yield inner[begun:index].strip()
            begun = index + 1
        before = "" if before == "\\" else each
    yield inner[begun:].strip()
