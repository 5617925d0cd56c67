"""Importing: `ratestream tariff import`: tariffs of others as our YAML, checked before anything is written.

What cannot be expressed ends the import with all such problems, unless they are to be left out. Notes, problems and
the summary go to standard error.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from ratestream.options import Source
from ratestream.screen import printable
from schemas.codecs import usage_json
from schemas.importing import cdr, cgrates, ocpi, urdb
from schemas.importing.reading import Given, Imported, Json
from schemas.importing.yaml_text import yaml_text
from schemas.node import Document, Node, path_text
from schemas.problem import DocumentError, Finding, Problem
from schemas.tariff import Tariff
from schemas.usage import UsageRecord
from schemas.validation import validate

_NAMED = 3
"""How many tariffs a note names; of more it tells how many."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be imported from where to where; `out` None is standard output, `usage` is for the usage of CDRs."""

    source: Source
    path: Path
    given: Given
    out: Path | None = None
    usage: Path | None = None
    skip: bool = False


def import_tariffs(order: Order) -> None:
    """Writes the tariffs, and usage where it is asked for. Raises DocumentError for what cannot be expressed."""
    if order.path.is_dir() != (order.source is Source.CGRATES):
        wanted = "a folder of CSV files" if order.source is Source.CGRATES else "a JSON file"
        raise DocumentError([Problem(str(order.path), 0, "", f"not {wanted}", "", f"give {wanted}")])
    found = _found(order)
    documents, tariffs, problems = _checked(order.path, found)
    sessions = cdr.usage_of(order.path.read_bytes()) if order.usage is not None else cdr.Sessions([], [], [])
    problems += [_problem(order.path, name, finding) for name, finding in sessions.findings]
    if not documents and not sessions.usage and not problems:
        what, remedy = "nothing to import", "give a file with tariffs; the usage of CDRs needs --usage FILE"
        problems.append(Problem(str(order.path), 0, "", what, "", remedy))
    if problems and (not order.skip or not (documents or sessions.usage)):
        raise DocumentError(problems)
    _tell(problems, [*((one.name, note) for one in found for note in one.notes), *sessions.notes])
    if documents:
        _write_tariffs(documents, order.out)
    if order.usage is not None:
        order.usage.write_bytes(b"".join(usage_json(record) + b"\n" for record in sessions.usage))
    for line in _summary(tariffs, problems, sessions.usage, order):
        print(printable(line), file=sys.stderr)


def _found(order: Order) -> list[Imported]:
    match order.source:
        case Source.URDB:
            return urdb.tariffs(order.path.read_bytes(), order.given)
        case Source.OCPI:
            return ocpi.tariffs(order.path.read_bytes(), order.given)
        case Source.CGRATES:
            files = {file.name: file.read_bytes() for file in sorted(order.path.glob("*.csv"))}
            return cgrates.tariffs(files, order.given)


def _checked(path: Path, found: list[Imported]) -> tuple[list[Json], list[Tariff], list[Problem]]:
    """The documents that are tariffs, the tariffs, and what keeps the others from being one."""
    documents, tariffs, problems = [], [], []
    for one in found:
        problems += [_problem(path, one.name, finding) for finding in one.findings]
        if one.document is None:
            continue
        tariff, refusals = validate(Tariff, Document(f"{path}: {one.name}", _node(one.document)))
        problems += refusals
        if tariff is not None:
            documents.append(one.document)
            tariffs.append(tariff)
    return documents, tariffs, problems


def _problem(path: Path, name: str, finding: Finding) -> Problem:
    return Problem(f"{path}: {name}", 0, path_text(finding.at), finding.what, "", finding.remedy)


def _node(value: object) -> Node:
    """The value as a document that stands in no line of a file."""
    if isinstance(value, dict):
        return Node(0, {str(key): _node(item) for key, item in value.items()})
    if isinstance(value, list):
        return Node(0, [_node(item) for item in value])
    return Node(0, value)  # type: ignore[arg-type]


def _tell(problems: list[Problem], notes: list[tuple[str, str]]) -> None:
    for problem in problems:
        print(printable(f"left out: {problem}"), file=sys.stderr)
    by_note: dict[str, list[str]] = {}
    for name, note in notes:
        by_note.setdefault(note, []).append(name)
    for note, names in by_note.items():
        of = ", ".join(names) if len(names) <= _NAMED else f"{len(names)} tariffs"
        print(printable(f"note: {of}: {note}"), file=sys.stderr)


def _write_tariffs(documents: list[Json], out: Path | None) -> None:
    text = yaml_text(documents)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")


def _summary(tariffs: list[Tariff], problems: list[Problem], usage: list[UsageRecord], order: Order) -> list[str]:
    lines = []
    for tariff in tariffs:
        items = ", ".join(f"{name} per {item.unit}" for name, item in tariff.meters.items())
        dated = f"{tariff.tariff} {tariff.version} from {tariff.effective_from} in {tariff.currency}"
        lines.append(f"{dated}: {items}")
    left_out = f", {len(problems)} problems" if problems else ""
    records = f", {len(usage)} usage records in {order.usage}" if order.usage is not None else ""
    return [*lines, f"OK: {len(tariffs)} tariffs imported from {order.path}{records}{left_out}"]
