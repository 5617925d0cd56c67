"""Documents: a YAML or JSON file becomes a tree of nodes that know their lines.

Only null, true and false, whole numbers, decimals and ISO dates are more than text; a decimal is made from its own
digits, so no number is ever a float, and `no`, `on`, `12:00` or `0x10` stay text. JSON is read as the YAML it is.
Limits on size, depth and repetition by aliases keep a hostile file harmless. Before validation.py.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path as FilePath
from typing import NoReturn

import yaml

from schemas.node import Document, Node, Scalar, cut, path_text
from schemas.problem import Path, Problem

FILE_LIMIT = 8 * 1024 * 1024
"""Bytes; a larger file is refused unread."""
DEPTH_LIMIT = 32
VALUE_LIMIT = 1_000_000
"""Values in one file, each alias counted as all that it repeats."""
SUFFIXES = frozenset({".yaml", ".yml", ".json"})

_NUMBER_LENGTH = 80
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]{1,4})?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONSTANTS: dict[str, Scalar] = {"": None, "~": None, "null": None, "true": True, "false": False}


def read_documents(file: FilePath) -> tuple[list[Document], list[Problem]]:
    """All documents of a file and everything wrong with the file itself; with any problem there are no documents."""
    text = _read_text(file)
    if isinstance(text, Problem):
        return [], [text]
    reader = _Reader(str(file), yaml.parse(text, Loader=yaml.CSafeLoader))
    try:
        roots = list(reader.roots())
    except _StopReading as stop:
        return [], [*reader.problems, stop.problem]
    except yaml.YAMLError as error:
        return [], [*reader.problems, _syntax_problem(str(file), error)]
    if not roots and not reader.problems:
        reader.problems.append(Problem(str(file), 0, "", "nothing in the file", "", "write a document or remove it"))
    return ([] if reader.problems else [Document(str(file), root) for root in roots]), reader.problems


def _read_text(file: FilePath) -> str | Problem:
    try:
        with file.open("rb") as stream:
            content = stream.read(FILE_LIMIT + 1)
    except OSError as error:
        return Problem(str(file), 0, "", "cannot be read", error.strerror or str(error), "give a file that is readable")
    if len(content) > FILE_LIMIT:
        what = f"larger than {FILE_LIMIT // 1024 // 1024} MiB"
        return Problem(str(file), 0, "", what, "", "split it into several files")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{content[error.start]:02x}"
        return Problem(str(file), line, "", "not UTF-8", byte, "save the file as UTF-8")
    control = _CONTROL.search(text)
    if control is None:
        return text
    line = text.count("\n", 0, control.start()) + 1
    return Problem(str(file), line, "", "a control character", f"U+{ord(control.group()):04X}", "remove it")


def _syntax_problem(file: str, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or "cannot be parsed"
    line = mark.line + 1 if mark else 0
    remedy = "look there and just above for a missing colon, quote or bracket, a tab or wrong indentation"
    return Problem(file, line, "", f"not valid YAML: {what}", "", remedy)


class _StopReading(Exception):  # noqa: N818 - it ends a reading, the error is the problem that it carries
    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class _Reader:
    """Builds nodes from parser events, so that neither recursion nor aliases are left to the YAML library."""

    def __init__(self, file: str, events: Iterator[yaml.Event]) -> None:
        self.file = file
        self.events = events
        self.problems: list[Problem] = []
        self.anchors: dict[str, Node] = {}

    def roots(self) -> Iterator[Node]:
        """The root of each document that is not empty."""
        size = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.anchors = {}
                root = self._node(next(self.events), ())
                size += root.size
                self._limit(size, root.line, ())
                if root.value is not None:
                    yield root

    def _node(self, event: yaml.Event, path: Path) -> Node:
        line = _line(event)
        if len(path) > DEPTH_LIMIT:
            remedy = "write it flatter, as `ratestream tariff schema` shows"
            self._stop(line, path, f"more than {DEPTH_LIMIT} levels deep", remedy)
        if isinstance(event, yaml.AliasEvent):
            node = replace(self._target(event.anchor or "", line, path), line=line)
        else:
            node = self._content(event, line, path)
        self._limit(node.size, line, path)
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            self._note(event, node, path)
        return node

    def _content(self, event: yaml.Event, line: int, path: Path) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            entries = self._mapping(path)
            return Node(line, entries, 1 + sum(node.size for node in entries.values()))
        if isinstance(event, yaml.SequenceStartEvent):
            items = self._sequence(path)
            return Node(line, items, 1 + sum(node.size for node in items))
        if isinstance(event, yaml.ScalarEvent):
            return Node(line, _resolve(event.value) if event.implicit[0] else event.value)
        raise TypeError(f"{event} is no value: the YAML parser is not the one this was written for")

    def _mapping(self, path: Path) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                self._stop(line, path, "a key must be a word", "write `key: value`")
            key = event.value
            node = replace(self._node(next(self.events), (*path, key)), line=line)
            first = entries.setdefault(key, node)
            if first is not node:
                what = f"the same key twice, on lines {first.line} and {line}"
                self._add(line, (*path, key), what, "remove one of them")
        return entries

    def _sequence(self, path: Path) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return items

    def _note(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, node: Node, path: Path) -> None:
        """Remembers the node's anchor; an anchor is known only once it is complete, so nothing can hold itself."""
        if event.tag not in (None, "!"):
            what = f"a YAML tag ({cut(event.tag or '')}) is not accepted"
            self._add(node.line, path, what, "remove it; quote what is meant as text")
        if event.anchor:
            self.anchors[event.anchor] = node

    def _target(self, anchor: str, line: int, path: Path) -> Node:
        node = self.anchors.get(anchor)
        if node is None:
            what = f"no complete anchor &{cut(anchor)} above"
            self._stop(line, path, what, "define it earlier, or write the value out")
        return node

    def _limit(self, size: int, line: int, path: Path) -> None:
        if size > VALUE_LIMIT:
            remedy = "split it into several files, and repeat less by aliases"
            self._stop(line, path, f"more than {VALUE_LIMIT:,} values", remedy)

    def _add(self, line: int, path: Path, what: str, remedy: str) -> None:
        self.problems.append(Problem(self.file, line, path_text(path), what, "", remedy))

    def _stop(self, line: int, path: Path, what: str, remedy: str) -> NoReturn:
        raise _StopReading(Problem(self.file, line, path_text(path), what, "", remedy))


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0


def _resolve(text: str) -> Scalar:
    """What an unquoted scalar means.

    >>> [_resolve(text) for text in ("1.10", "7", "no", "12:00", "2013-05", "007", "true")]
    [Decimal('1.10'), 7, 'no', '12:00', '2013-05', '007', True]
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if len(text) > _NUMBER_LENGTH:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    return _date(text) if _DATE.fullmatch(text) else text


def _date(text: str) -> Scalar:
    """The date; a date that no calendar has stays text for its field to refuse."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text
