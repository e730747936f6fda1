"""What code can still ask for: the acts that lie ahead of where a body stands.

When the code of a process has changed while a run is in flight, a recorded outcome that the body
has not come to may lie ahead, or may be gone for ever. The drawing will know it from the source;
here it is told from the body itself, which stands suspended at an instruction of its own code.
From there the instructions that can follow are found (jumps, loops, handlers), and with them the
places of the source that they were made from. Helpers that are called there are read whole.

What cannot be seen is taken as possible: a run must not be stopped because something could not be
read. So an act counts as gone only if no call that can be seen would make its key.
"""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import linecache
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, CoroutineType, FrameType, FunctionType, MethodType, ModuleType
from typing import Any, Final, cast

from newel.base.source import parsed
from newel.domain.keys import encoded
from newel.flow.groups import Group
from newel.flow.process import Process
from newel.flow.step import Step

_Position = tuple[int, int, int, int]
_Known = tuple[int | None, int | None, int | None, int | None]
_Scope = Mapping[str, object]
_Labels = tuple[str, ...]
"""Patterns (regular expressions) of sections, each with the slash behind its label."""
_Seen = tuple[ast.expr, _Labels]
"""An expression, and the sections around it in its function."""

_ENDS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE"})
_GOES: Final = frozenset(
    {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_ABSOLUTE", "JUMP"}
)
_ANY: Final = "*"
_VERBS_OF_A_GROUP: Final = ("join", "complete", "cancel")
_DEEPEST: Final = 20


@dataclass(slots=True)
class Asked:
    """Which keys some code can ask for.

    acts: sections, name and item of calls; `*` stands for an item that is computed, None for no
    item. loose: names of things that are mentioned without being called, and of
    calls that could not be resolved.
    """

    acts: set[tuple[_Labels, str, str | None]] = field(
        default_factory=set[tuple[_Labels, str, str | None]]
    )
    loose: set[str] = field(default_factory=set[str])
    seen: set[tuple[CodeType, _Labels]] = field(default_factory=set[tuple[CodeType, _Labels]])
    files: dict[str, str] = field(default_factory=dict[str, str])

    def has(self, key: str) -> bool:
        """Whether this code can ask for a key."""
        *labels, name = key.partition("#")[0].split("/")
        if "undo" in labels:
            return True  # a promise is kept where its block ends, which names no step
        name, bracket, rest = name.partition("[")
        item = rest.removesuffix("]") if bracket else None
        if any(
            asked == name
            and (wanted == item or (wanted == _ANY and item is not None))
            and re.fullmatch("".join(sections), "".join(f"{label}/" for label in labels))
            for sections, asked, wanted in self.acts
        ):
            return True
        return any(
            name == each or name.startswith(f"{each}.") or name.endswith(f".{each}")
            for each in self.loose
        )


def ahead(branches: Iterable[tuple[Any, str]]) -> Asked:
    """What suspended coroutines can still ask for, each with the sections it was begun in."""
    asked = Asked()
    for coroutine, section in branches:
        labels = tuple(re.escape(f"{label}/") for label in section.split("/") if label)
        inner: Any = coroutine
        while isinstance(inner, CoroutineType):
            frame: FrameType | None = inner.cr_frame
            if frame is not None and not _is_machinery(frame.f_globals.get("__name__")):
                _read_frame(frame, labels, asked)
                labels = (*labels, *_labels_at(frame))
            inner = inner.cr_await
    return asked


@lru_cache(maxsize=64)
def anywhere(process: Process[..., Any]) -> Asked:  # Any: a process has its own result
    """What a process can ask for at all, helpers included."""
    asked = Asked()
    _read_function(inspect.unwrap(process.function), (), asked)
    return asked


def source_of(process: Process[..., Any]) -> str:  # Any: a process has its own result
    """The source that a process is made of: its module, and those of what it is seen to use.

    Modules of Python and of newel itself are left out, but for a process of newel's own.
    """
    function = inspect.unwrap(process.function)
    own = function.__code__.co_filename
    files = {own: "".join(linecache.getlines(own, function.__globals__))}
    if _is_machinery(function.__module__):  # uses nothing but newel
        return files[own]
    for name, file in sorted(anywhere(process).files.items()):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top != "newel" and file not in files:
            text = "".join(linecache.getlines(file))
            files[file] = f"\n# --- {name}\n{text}"
    return "".join(files.values())


# --- instructions ---------------------------------------------------------------------------


def _following(code: CodeType, last: int) -> set[int]:
    """Offsets of the instructions that can run after the one at `last`."""
    instructions = list(dis.get_instructions(code))
    places = {each.offset: index for index, each in enumerate(instructions)}
    handlers = getattr(dis.Bytecode(code), "exception_entries", ())
    found: set[int] = set()
    todo = [last]
    while todo:
        offset = todo.pop()
        if offset in found or offset not in places:
            continue
        found.add(offset)
        todo.extend(entry.target for entry in handlers if entry.start <= offset < entry.end)
        each = instructions[places[offset]]
        if each.opcode in dis.hasjrel or each.opcode in dis.hasjabs:
            todo.append(each.argval)
        if each.opname not in _ENDS | _GOES and places[offset] + 1 < len(instructions):
            todo.append(instructions[places[offset] + 1].offset)
    return found


def _read_frame(frame: FrameType, labels: _Labels, asked: Asked) -> None:
    code = frame.f_code
    scope = _Scopes({**_groups_in(code), **frame.f_locals}, frame.f_globals)
    for name in (*code.co_varnames, *code.co_cellvars):
        _mention(frame.f_locals.get(name), labels, asked)
    offsets = _following(code, frame.f_lasti)
    places = zip(range(0, len(code.co_code), 2), code.co_positions(), strict=False)
    positions = {position for offset, position in places if offset in offsets}
    for each in dis.get_instructions(code):
        if each.offset in offsets and isinstance(each.argval, CodeType):
            positions.update(_all_positions(each.argval))
    nodes = _nodes(code.co_filename)
    if not nodes:
        _read_names(code, scope, asked)
        return
    lines = {position[0] for position in positions if position[2] is None}
    chosen = [
        node
        for position, there in nodes.items()
        if position in positions or position[0] in lines
        for node in there
    ]
    _read_nodes(chosen, labels, scope, asked)


def _labels_at(frame: FrameType) -> _Labels:
    """The sections around the place where a frame stands."""
    nodes = _nodes(frame.f_code.co_filename)
    here = (
        labels
        for (line, end, _, _), there in nodes.items()
        if line <= frame.f_lineno <= end
        for node, labels in there
        if isinstance(node, ast.Call)
    )
    return max(here, key=len, default=())


def _all_positions(code: CodeType) -> Iterator[_Known]:
    yield from code.co_positions()
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _all_positions(inner)


def _read_function(function: Callable[..., Any], labels: _Labels, asked: Asked) -> None:
    code = getattr(function, "__code__", None)
    if not isinstance(code, CodeType) or (code, labels) in asked.seen or len(labels) > _DEEPEST:
        return
    if _is_machinery(function.__module__) or not isinstance(function, FunctionType):
        return
    asked.seen.add((code, labels))
    # A module in an archive is in no file: its loader has the text.
    linecache.lazycache(code.co_filename, function.__globals__)
    asked.files[function.__module__] = code.co_filename
    scope = _Scopes({**_groups_in(code), **_closure(function)}, function.__globals__)
    nodes = _nodes(code.co_filename)
    lines = _lines_of(code)
    chosen = [node for position, there in nodes.items() if position[0] in lines for node in there]
    if chosen:
        _read_nodes(chosen, labels, scope, asked)
    else:
        _read_names(code, scope, asked)


def _lines_of(code: CodeType) -> range:
    """The lines of a function, with what is written inside it."""
    last = max([_last_line(code), *(_last_line(inner) for inner in code.co_consts)])
    return range(code.co_firstlineno, last + 1)


def _last_line(inner: object) -> int:
    if not isinstance(inner, CodeType):
        return 0
    return max((line for _, _, line in inner.co_lines() if line is not None), default=0)


def _groups_in(code: CodeType) -> dict[str, object]:
    """The groups that a function opens, by the name it gives them; one name for two is left out."""
    lines = _lines_of(code)
    found: dict[str, set[str]] = {}
    for line, name, key in _grouped("".join(linecache.getlines(code.co_filename))):
        if line in lines:
            found.setdefault(name, set()).add(key)
    return {name: Group(key) for name, (key, *more) in found.items() if not more}


def _read_names(code: CodeType, scope: _Scope, asked: Asked) -> None:
    """Without the source: every name and text of the code may be asked for."""
    for name in code.co_names:
        asked.loose.add(name)
        _mention(scope.get(name), (), asked)
    for value in code.co_consts:
        if isinstance(value, str):
            asked.loose.add(value.partition("[")[0])
        elif isinstance(value, CodeType):
            _read_names(value, scope, asked)


# --- source ---------------------------------------------------------------------------------


def _nodes(filename: str) -> dict[_Position, list[_Seen]]:
    """The expressions of a file by their place."""
    return _parsed("".join(linecache.getlines(filename)))


@lru_cache(maxsize=64)
def _parsed(text: str) -> dict[_Position, list[_Seen]]:
    found: dict[_Position, list[_Seen]] = {}
    try:
        tree = parsed(text)
    except (SyntaxError, ValueError):
        return found
    for node, labels in _walked(tree, ()):
        end_line, end = node.end_lineno or node.lineno, node.end_col_offset or 0
        found.setdefault((node.lineno, end_line, node.col_offset, end), []).append((node, labels))
        if (place := _place_of_attribute(node)) is not None:
            found.setdefault(place, []).append((node, labels))
    return found


@lru_cache(maxsize=64)
def _grouped(text: str) -> tuple[tuple[int, str, str], ...]:
    """Line, name and key of every `async with group("key") as name` of a file."""
    try:
        tree = parsed(text)
    except (SyntaxError, ValueError):
        return ()
    return tuple(
        (node.lineno, item.optional_vars.id, key)
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncWith)
        for item in node.items
        if isinstance(item.optional_vars, ast.Name)
        and (key := _key_of_group(item.context_expr)) is not None
    )


def _key_of_group(node: ast.expr) -> str | None:
    match node:
        case ast.Call(func=function, args=[ast.Constant(value=str(text)), *_]):
            return text if _last_name(function) == "group" else None
        case _:
            return None


def _walked(node: ast.AST, labels: _Labels) -> Iterator[_Seen]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        labels = ()
    if isinstance(node, ast.Call | ast.Name | ast.Attribute):
        yield node, labels
    for name, value in ast.iter_fields(node):
        inner = labels
        if isinstance(node, ast.With) and name == "body":
            inner = (*labels, *_sections(node))
        for child in cast("list[object]", value) if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walked(child, inner)


def _sections(node: ast.With) -> Iterator[str]:
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and _last_name(call.func) == "section":
            labels = [_literal(call.args[0]) if call.args else _ANY]
            labels += [_ANY if text is None else text for text in _former_texts(call)]
            patterns = map(_label_pattern, labels)
            yield f"(?:{'|'.join(patterns)})"


def _label_pattern(label: str) -> str:
    if label == _ANY:
        return "[^/]+/"
    return re.escape(f"{label}/") if label else ""


def _former_texts(call: ast.Call) -> Iterator[str | None]:
    """What `formerly=` of a call says; None for what is computed."""
    for keyword in call.keywords:
        if keyword.arg == "formerly":
            value = keyword.value
            for each in value.elts if isinstance(value, ast.Tuple) else [value]:
                match each:
                    case ast.Constant(value=str(text)):
                        yield text
                    case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
                        yield f"{text.partition('[')[0]}[{_ANY}]"
                    case _:
                        yield None


def _last_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _place_of_attribute(node: ast.expr) -> _Position | None:
    """Where a chain over several lines is said to begin by newer Pythons: at its last name."""
    name = node.func if isinstance(node, ast.Call) else node
    if not isinstance(name, ast.Attribute) or name.end_lineno == name.lineno:
        return None
    line, column = name.end_lineno or name.lineno, name.end_col_offset or 0
    return line, node.end_lineno or line, column - len(name.attr), node.end_col_offset or 0


def _read_nodes(nodes: list[_Seen], outer: _Labels, scope: _Scope, asked: Asked) -> None:
    called: set[ast.expr] = set()
    for node, labels in nodes:
        if isinstance(node, ast.Call):
            called.update(_parts_of(node.func))
            _read_call(node, (*outer, *labels), scope, asked)
    for node, labels in nodes:
        if node not in called and not isinstance(node, ast.Call):
            _mention(_resolved(node, scope), (*outer, *labels), asked)


def _parts_of(node: ast.expr) -> Iterator[ast.expr]:
    while True:
        yield node
        if not isinstance(node, ast.Attribute | ast.Subscript):
            return
        node = node.value


def _read_call(call: ast.Call, labels: _Labels, scope: _Scope, asked: Asked) -> None:
    function, item = call.func, None
    if isinstance(function, ast.Subscript):
        item, function = _literal(function.slice), function.value
    found = _resolved(function, scope)
    if isinstance(found, Step | Process):
        _note_module(cast("object", found), asked)
        name = cast("Step[..., Any] | Process[..., Any]", found).name
        asked.acts.add((labels, name, item))
        for key in _former_of(cast("object", found)):
            _add_key(key, labels, asked)
            if item is not None:
                asked.acts.add((labels, key, item))
        if isinstance(found, Process):
            _read_function(cast("Process[..., Any]", found).function, labels, asked)
    elif found is not None and _is_machinery(getattr(found, "__module__", None)):
        _read_word(call, labels, scope, asked)
    elif found is not None:
        _mention(found, labels, asked)
    elif isinstance(function, ast.Attribute):
        asked.loose.add(function.attr)
        _read_method(function, labels, scope, asked)
    elif isinstance(function, ast.Name):
        asked.loose.add(function.id)


def _former_of(found: object) -> tuple[str, ...]:
    known = cast("Step[..., Any] | Process[..., Any]", found)
    return known.formerly if isinstance(known, Process) else known.options.formerly


def _add_key(key: str, labels: _Labels, asked: Asked) -> None:
    """A former key: where the act stands now, and from the top."""
    sections, _, last = key.rpartition("/")
    name, bracket, rest = last.partition("[")
    item = rest.removesuffix("]") if bracket else None
    own = tuple(re.escape(f"{label}/") for label in sections.split("/") if label)
    asked.acts.update({((*labels, *own), name, item), (own, name, item)})


def _read_word(call: ast.Call, labels: _Labels, scope: _Scope, asked: Asked) -> None:
    """A word of newel: its first argument is a key, or it is a method of something named."""
    function = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    if isinstance(function, ast.Attribute):
        _read_method(function, labels, scope, asked)
    if _last_name(function) == "section":
        return
    for key in _former_texts(call):
        if key is not None:
            _add_key(key, labels, asked)
            asked.loose.update(f"{key}.{verb}" for verb in _VERBS_OF_A_GROUP)
    if not call.args:
        return
    match call.args[0]:
        case ast.Constant(value=str(text)):
            name, bracket, rest = text.partition("[")
            asked.acts.add((labels, name, rest.removesuffix("]") if bracket else None))
            asked.loose.update(f"{name}.{verb}" for verb in _VERBS_OF_A_GROUP)
        case ast.JoinedStr(values=[ast.Constant(value=str(text)), *_]):
            asked.acts.add((labels, text.partition("[")[0], _ANY))
        case ast.Name() | ast.Attribute() as other:
            text_of = _resolved(other, scope)
            if isinstance(text_of, str):
                asked.loose.add(text_of.partition("[")[0])
        case _:
            pass


def _read_method(function: ast.Attribute, labels: _Labels, scope: _Scope, asked: Asked) -> None:
    """A method of something declared once (an event, a lock), perhaps of one of many."""
    owner, item = function.value, None
    if isinstance(owner, ast.Subscript):
        item, owner = _literal(owner.slice), owner.value
    found = _resolved(owner, scope)
    own = (getattr(found, each, None) for each in ("name", "key", "base"))
    name = next((each for each in own if isinstance(each, str)), None)
    if found is not None and name is not None:
        for each in (name, *_former_names(found)):
            asked.acts.add((labels, each, item))
            asked.acts.add((labels, f"{each}.{function.attr}", item))


def _former_names(found: object) -> tuple[str, ...]:
    """The names without items that a lock, a scope or a milestone had."""
    formerly = getattr(found, "formerly", ())
    return tuple(name.partition("[")[0] for name in formerly)


def _literal(node: ast.expr) -> str:
    """The text of a literal item or label; `*` for what is computed."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and node.value != "":
        return encoded(node.value)
    return _ANY


def _resolved(node: ast.expr, scope: _Scope) -> object:
    """What a name or an attribute of one is, without running a property; None if unknown."""
    match node:
        case ast.Name(id=name):
            return scope.get(name)
        case ast.Attribute(value=value, attr=attribute):
            owner = _resolved(value, scope)
            if owner is None:
                return None
            static = inspect.getattr_static(owner, attribute, None)
            if isinstance(static, Step) and not isinstance(owner, type | ModuleType):
                return cast("object", getattr(owner, attribute))
            if isinstance(static, FunctionType) and not isinstance(owner, type | ModuleType):
                return MethodType(static, owner)
            return None if isinstance(static, property) else cast("object", static)
        case _:
            return None


def _mention(value: object, labels: _Labels, asked: Asked, *, deep: bool = True) -> None:
    """Something stands in the code, or in a variable: it may be used in any way."""
    if isinstance(value, Step | Process):
        _note_module(cast("object", value), asked)
        asked.loose.add(cast("Step[..., Any] | Process[..., Any]", value).name)
    elif isinstance(value, FunctionType):
        _read_function(inspect.unwrap(value), labels, asked)
    elif isinstance(value, MethodType):
        _read_function(value.__func__, labels, asked)
    elif isinstance(value, type):
        _note_module(value, asked)
        if not value.__module__.startswith("newel."):
            for member in vars(value).values():
                if inspect.iscoroutinefunction(member):
                    _read_function(member, labels, asked)
    elif _is_machinery(type(value).__module__):
        name = getattr(value, "name", None) or getattr(value, "key", None)
        base = getattr(value, "base", None)
        asked.loose.update(each for each in (name, base) if isinstance(each, str) and each)
        asked.loose.update(_former_names(value))
    elif deep and isinstance(value, dict):
        for each in cast("dict[object, object]", value).values():
            _mention(each, labels, asked, deep=False)
    elif deep and isinstance(value, list | tuple):
        for each in cast("list[object]", value):
            _mention(each, labels, asked, deep=False)


def _note_module(found: object, asked: Asked) -> None:
    """Note in which modules a step, a process or a type is written, with the types it names."""
    if isinstance(found, type):
        module = sys.modules.get(found.__module__)
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            asked.files[found.__module__] = file
        return
    function = inspect.unwrap(cast("Step[..., Any] | Process[..., Any]", found).function)
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType):
        linecache.lazycache(code.co_filename, function.__globals__)
        asked.files[function.__module__] = code.co_filename
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):  # refused with words of its own when it is registered
        return
    for hint in hints.values():
        _note_types(hint, asked)


def _note_types(hint: object, asked: Asked) -> None:
    if isinstance(hint, type):
        _note_module(hint, asked)
    for part in typing.get_args(hint):
        _note_types(part, asked)


_MACHINERY: Final = ("newel.flow.", "newel.base.", "newel.engine.body")


def _is_machinery(module: object) -> bool:
    return isinstance(module, str) and module.startswith(_MACHINERY)


def _closure(function: FunctionType) -> dict[str, object]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
    found: dict[str, object] = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return found


class _Scopes(dict[str, object]):
    """Names as code sees them: its own, its module's, Python's."""

    def __init__(self, own: _Scope, module: _Scope) -> None:
        super().__init__({**vars(builtins), **module, **own})
