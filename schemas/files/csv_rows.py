"""CSV by RFC 4180 with a header: commas, UTF-8, quotes only around a whole cell. An empty cell is an absent field.

A quoted cell may hold newlines. Where a quote does not close, or its row does not fit the header, only the line on
which it opens is rejected and reading goes on with the next, so one stray quote cannot swallow the rows after it.
Rows of one line are split many at a time, which is the same by the proof in `_flat_cells`.
"""

import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from functools import partial

from schemas.codecs.batch import Limits
from schemas.codecs.fields import INSTANTS, LONGEST_TEXT, QUANTITIES, Refusal, usage_from
from schemas.files.columns import ColumnMapping, Plan, is_header, plan_of
from schemas.files.lines import BadLine, Lines
from schemas.files.piece import Piece, Results, fault_piece, text_piece
from schemas.rejection import Reason
from schemas.usage import UsageRecord

_CELL = re.compile(r'"((?:[^"]|"")*+)"|([^",\r\n]*)')
_FEW = 128
_REQUIRED_TEXTS = ("id", "account", "meter", "quantity")
_NO_ROW = "Write each row with the columns of the header, quoting cells that hold commas, quotes or newlines"


def csv_pieces(lines: Iterator[Lines | BadLine], mapping: ColumnMapping, limits: Limits) -> Iterator[Piece]:
    """The rows of a CSV file."""
    table = _Table(mapping, limits)
    for some in lines:
        if isinstance(some, BadLine):
            yield from table.rows(final=True)
            yield fault_piece(some.fault, some.number)
        else:
            table.add(some)
            yield from table.rows(final=some.unterminated)
    yield from table.rows(final=True)


class _Table:
    """The lines of a CSV file on their way to rows. `_open` holds the lines of a quoted row that has not ended."""

    def __init__(self, mapping: ColumnMapping, limits: Limits) -> None:
        self._mapping = mapping
        self._limits = limits
        self._plan: Plan | Refusal | None = None
        self._open = Lines([], 1)

    def add(self, lines: Lines) -> None:
        """Takes the lines that follow."""
        if self._open.texts:
            self._open = Lines(self._open.texts + lines.texts, self._open.first, lines.unterminated)
        else:
            self._open = lines

    def rows(self, *, final: bool) -> Iterator[Piece]:
        """The rows that are complete; all of them where no more lines follow."""
        if self._plan is None:
            yield from self._carefully(final=final)
        if self._plan is None or not self._open.texts:
            return
        if any(text.count(b'"') % 2 for text in self._open.texts):
            yield from self._carefully(final=final)
            return
        texts, numbers = self._open.filled()
        read = partial(_read_last if self._open.unterminated else _read, plan=self._plan)
        self._open = Lines([], 1)
        yield text_piece(read, texts, numbers)

    def _carefully(self, *, final: bool) -> Iterator[Piece]:
        """Row by row: up to the header, and where a row may go on over lines, since a line's quotes do not pair up."""
        waiting, searching = self._open, self._plan is None
        texts: list[bytes] = []
        numbers: list[int] = []
        rows: list[list[str] | Refusal] = []
        taken = 0
        while (self._plan is None or not searching) and (height := self._height(taken, final=final)):
            text = b"\n".join(waiting.texts[taken : taken + height])
            row = self._row(text)
            if isinstance(row, Refusal) and height > 1:
                height, text = 1, waiting.texts[taken]
            if row is not None:
                texts.append(text)
                numbers.append(waiting.first + taken)
                rows.append(row)
            taken += height
        self._open = Lines(waiting.texts[taken:], waiting.first + taken, waiting.unterminated)
        if waiting.unterminated and texts and not self._open.texts:
            rows[-1] = _cut_off(rows[-1], texts[-1], self._plan)
        yield text_piece(lambda _: _read_rows(rows, self._plan), texts, numbers)

    def _height(self, start: int, *, final: bool) -> int:
        """Of how many lines the row at `start` consists: 1 where its quote does not close, 0 if it is not all there."""
        texts = self._open.texts
        quotes = size = 0
        for end in range(start, len(texts)):
            quotes += texts[end].count(b'"')
            size += len(texts[end])
            if quotes % 2 == 0:
                return end + 1 - start
            if size > self._limits.max_line_bytes:
                return 1
        return 1 if final and start < len(texts) else 0

    def _row(self, text: bytes) -> list[str] | Refusal | None:
        """The cells of a row; None for a blank line and for the header, which this takes."""
        if not text.strip():
            return None
        return self._header(text) if self._plan is None else _cells(text, self._plan)

    def _header(self, text: bytes) -> Refusal | None:
        """Takes the column names; a first line that cannot be a header is itself a rejected row."""
        cells = _split(text)
        names = [] if isinstance(cells, Refusal) else cells
        if not is_header(names, self._mapping):
            what = "the first line is no header: none of its cells is the name of a usage record's field"
            self._plan = Refusal(Reason.UNREADABLE, f"{what}. Begin with a line that names the columns")
            return self._plan
        self._plan = plan_of(names, self._mapping)
        if isinstance(self._plan, Plan) and "attributes" in self._plan.fields:
            what = "a CSV file has no column attributes"
            self._plan = Refusal(Reason.UNKNOWN_FIELD, f"{what}. Give each attribute a column of its own name")
        return None


def _read(texts: list[bytes], plan: Plan | Refusal) -> Results:
    """Rows of one line each: many at once, or where one of them is odd, in small groups or alone."""
    cells = _flat_cells(texts, plan)
    if cells and isinstance(plan, Plan) and _are_short(texts):
        records = _records([cells[number :: plan.width + 1] for number in range(plan.width)], plan)
        if records is not None:
            return records
    if len(texts) <= _FEW:
        return _read_rows([_cells(text, plan) for text in texts], plan)
    groups = (texts[start : start + _FEW] for start in range(0, len(texts), _FEW))
    return [result for group in groups for result in _read(group, plan)]


def _read_last(texts: list[bytes], plan: Plan | Refusal) -> Results:
    return _read_rows([_cut_off(_cells(text, plan), text, plan) for text in texts], plan)


def _read_rows(rows: Sequence[list[str] | Refusal], plan: Plan | Refusal | None) -> Results:
    if not isinstance(plan, Plan):
        return [row for row in rows if isinstance(row, Refusal)]
    if rows and all(not isinstance(row, Refusal) and _are_short(row) for row in rows):
        records = _records(list(zip(*rows, strict=True)), plan)
        if records is not None:
            return records
    return [row if isinstance(row, Refusal) else _usage(row, plan) for row in rows]


def _cut_off(row: list[str] | Refusal, text: bytes, plan: Plan | Refusal | None) -> list[str] | Refusal:
    """The last row of a file without a final newline: where it has too few cells, the file was cut off."""
    if not isinstance(row, Refusal) or not isinstance(plan, Plan):
        return row
    if text.count(b'"') % 2 == 0 and text.count(b",") + 1 >= plan.width:
        return row
    what = "the file ends in the middle of its last row"
    return Refusal(Reason.TRUNCATED, f"{what}. Transfer the file again: what was accepted before counts once")


def _flat_cells(texts: list[bytes], plan: Plan | Refusal) -> list[str] | None:
    """The cells of all rows and, between rows, a newline as a cell of its own; None where a row needs a closer look.

    The rows all have the header's width if there is the right number of cells in all, and every (width + 1)th is a
    newline: then no newline is left to stand elsewhere. Where all cells are in quotes, so many quotes delimit cells
    that none is left inside one.
    """
    text = _unreturned(texts)
    if text is None or isinstance(plan, Refusal):
        return None
    comma, newline, rest = ",", "\n", len(texts) - 1
    if '"' in text:
        if text.count('"') != 2 * plan.width * len(texts) or text[0] != '"' or text[-1] != '"':
            return None
        text, comma, newline = text[1:-1], '","', '"\n"'
    cells = text.replace(newline, f"{comma}\n{comma}").split(comma)
    whole = len(cells) == (plan.width + 1) * len(texts) - 1
    return cells if whole and cells[plan.width :: plan.width + 1].count("\n") == rest else None


def _unreturned(texts: list[bytes]) -> str | None:
    """The rows as one text; None where they are not UTF-8 or hold a carriage return elsewhere than at their end."""
    data = b"\n".join(texts)
    if b"\r" in data:
        data = (data + b"\n").replace(b"\r\n", b"\n")[:-1]
        if b"\r" in data:
            return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _records(columns: Sequence[Sequence[str]], plan: Plan) -> list[UsageRecord] | None:
    """The records of some rows, given their columns of short cells; None where any row is not a plain record."""
    rows = len(columns[0])
    refused = INSTANTS.refused + QUANTITIES.refused
    of: dict[str, Sequence[str]] = {name: columns[number] for name, number in plan.fields.items()}
    of |= {name: [value] * rows for name, value in plan.constants.items()}
    if any("" in of.get(name, ("",)) for name in _REQUIRED_TEXTS):
        return None
    if not _are_short([*plan.constants.values(), *plan.attributes]):
        return None
    absent = [None] * rows
    attributes = {name: columns[number] for name, number in plan.attributes.items()}
    records = list(
        map(
            UsageRecord,
            of["id"],
            of["account"],
            of["meter"],
            map(QUANTITIES.__getitem__, of["quantity"]),
            map(INSTANTS.__getitem__, of["start"]),
            map(INSTANTS.__getitem__, of["end"]),
            [value or "default" for value in of.get("source", absent)],
            [value or "default" for value in of.get("tenant", absent)],
            [value or None for value in of.get("unit", absent)],
            [value or None for value in of.get("session", absent)],
            _attributes(attributes) or absent,
            [value or None for value in of.get("corrects", absent)],
        )
    )
    return records if INSTANTS.refused + QUANTITIES.refused == refused else None


def _are_short(texts: Iterable[Sized]) -> bool:
    """Whether no text among these, or within one of them, can be longer than a record's may be."""
    return max(map(len, texts), default=0) <= LONGEST_TEXT


def _attributes(columns: dict[str, Sequence[str]]) -> list[dict[str, str] | None]:
    rows = zip(*columns.values(), strict=True)
    return [{name: value for name, value in zip(columns, row, strict=True) if value} or None for row in rows]


def _usage(cells: list[str], plan: Plan) -> UsageRecord | Refusal:
    attributes = {name: cells[number] for name, number in plan.attributes.items() if cells[number]}
    fields = {name: cells[number] for name, number in plan.fields.items()}
    return usage_from({**fields, **plan.constants, "attributes": attributes or None})


def _cells(text: bytes, plan: Plan | Refusal) -> list[str] | Refusal:
    """The cells of one row, as many as the header has."""
    cells = plan if isinstance(plan, Refusal) else _split(text)
    if isinstance(cells, list) and isinstance(plan, Plan) and len(cells) != plan.width:
        what = f"the row has {len(cells)} cells and the header {plan.width}"
        return Refusal(Reason.UNREADABLE, f"{what}. {_NO_ROW}")
    return cells


def _split(text: bytes) -> list[str] | Refusal:
    """The cells of one row, quoted or not.

    >>> _split(b'a,"b ""c"", d",')
    ['a', 'b "c", d', '']
    """
    try:
        row = text.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        return Refusal(Reason.UNREADABLE, f"byte {error.start} of the row is not UTF-8. Save the file as UTF-8")
    cells: list[str] = []
    at = 0
    while cell := _CELL.match(row, at):
        cells.append(cell[2] if cell[1] is None else cell[1].replace('""', '"'))
        at = cell.end() + 1
        if cell.end() == len(row):
            return cells
        if row[cell.end()] != ",":
            break
    what = f"the row has a quote or carriage return inside a cell, or a quote that does not close: {row[:60]!r}"
    return Refusal(Reason.UNREADABLE, f"{what}. {_NO_ROW}")
