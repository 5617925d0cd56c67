"""Offline: one `ratestream rate`: its charges, statements and rejections as lines or files, kept nowhere else."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from agents.offline import Rated
from ratestream.summary import tally_lines
from schemas.charge import Charge
from schemas.codecs import json_bytes
from schemas.rejection import Rejection
from schemas.statement import Statement
from sinks.charge_columns import CHARGES, charges_table
from sinks.export import Format, write_export
from sinks.rejection_columns import REJECTED, rejections_table
from sinks.statement_columns import (
    STATEMENT_LINES,
    STATEMENTS,
    TAXES,
    statement_lines_table,
    statements_table,
    taxes_table,
)


def write_lines(rated: Rated) -> None:
    """{"charge": ...}, {"statement": ...} and {"rejection": ...}, a line each; the summary on standard error."""
    nouns: Iterable[tuple[bytes, Sequence[Charge | Statement | Rejection]]] = (
        (b"charge", rated.outcome.charges),
        (b"statement", rated.outcome.statements),
        (b"rejection", rated.rejections),
    )
    for name, found in nouns:
        for noun in found:
            sys.stdout.buffer.write(b'{"%b":%b}\n' % (name, json_bytes(noun)))
    sys.stdout.buffer.flush()
    for line in tally_lines(rated.tally):
        print(line, file=sys.stderr)


def write_files(rated: Rated, folder: Path, kind: Format) -> None:
    """A file for each table; the summary on standard output."""
    charges, statements = rated.outcome.charges, rated.outcome.statements
    reads: list[tuple[str, pa.Schema, Iterable[pa.Table]]] = [
        ("charges", CHARGES, [charges_table(charges)]),
        ("statements", STATEMENTS, [statements_table(statements)]),
        ("statement_lines", STATEMENT_LINES, [statement_lines_table(statements)]),
        ("taxes", TAXES, [taxes_table(statements)]),
        ("rejected", REJECTED, [rejections_table(rated.rejections)]),
    ]
    for file, rows in write_export(reads, folder, kind).items():
        print(f"{rows:>10,} {file}")
    for line in tally_lines(rated.tally):
        print(line)
